//! `wbput`: accept a write into the dirty map.

use bytes::Bytes;
use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{BadReply, Logged, Step, pack::Pack, reply::Items};
use crate::{
    Version,
    behind::DirtyKeys,
    mutant::{self, Mutant},
};

static SCRIPT: Script = Script::new("wbput", include_str!("wbput.lua"));

/// `wbput` after a look whether the key is still what the caller read: in one script, so that nothing comes between.
static SCRIPT_IF: Script = Script::new("wbput_if", concat!(include_str!("wbif.lua"), include_str!("wbput.lua")));

/// A write on its way into the dirty map.
#[derive(Clone, Debug)]
pub(crate) struct BehindPut<'a> {
    pub(crate) keys: &'a DirtyKeys,
    pub(crate) e: &'a Bytes,
    /// The key in D.
    pub(crate) field: &'a [u8],
    /// 1 put, 2 remove.
    pub(crate) kind: u64,
    pub(crate) change: &'a [u8],
    pub(crate) delay_ms: u64,
    pub(crate) generation: &'a str,
    pub(crate) max_entries: u64,
    pub(crate) max_bytes: u64,
    pub(crate) operation: u128,
    /// For how long a repeated operation is known as such.
    pub(crate) operation_ms: u64,
    pub(crate) log: Option<Logged>,
    /// What has to be there still, or nothing is written.
    pub(crate) only_if: Option<OnlyIf>,
}

/// What an update was computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnlyIf {
    /// The dirty map has this version of the key.
    Version([u8; 16]),
    /// The dirty map has nothing, and the entry's lease is this one: nobody has written since it was granted.
    Lease([u8; 16]),
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum BehindPutReply {
    /// Accepted, now or by an earlier copy of the same operation.
    Accepted(Version),
    /// The store is of another generation than the epoch that stands there.
    NeedEpoch,
    /// No room: so many keys and bytes wait.
    Full { entries: u64, bytes: u64 },
    /// The key is not any more what the caller read.
    Changed,
}

impl Step for BehindPut<'_> {
    type Reply = (BehindPutReply, f64);

    fn call(&self) -> ScriptCall {
        let mut e = self.e.clone();
        if mutant::lives(Mutant::M37) {
            e = [&e, &b"~"[..]].concat().into();
        }
        let DirtyKeys { d, z, w, .. } = self.keys;
        let keys = [d.clone(), z.clone(), w.clone(), e, self.keys.operation(self.operation)];
        let script = if self.only_if.is_some() { &SCRIPT_IF } else { &SCRIPT };
        let log = self.log.as_ref();
        let pack = Pack::with_log(script, &keys, log)
            .bytes(self.field)
            .number(self.kind)
            .bytes(self.change)
            .number(self.delay_ms)
            .bytes(self.generation.as_bytes())
            .number(self.max_entries)
            .number(self.max_bytes)
            .number(self.operation_ms)
            .log_max(log);
        match &self.only_if {
            None => pack.done(),
            Some(OnlyIf::Version(version)) => pack.text("version").bytes(version).done(),
            Some(OnlyIf::Lease(token)) => pack.text("lease").bytes(token).done(),
        }
    }

    fn parse(value: Value) -> Result<Self::Reply, BadReply> {
        let mut items = Items::of(value)?;
        let name = items.bytes()?;
        let reply = match name.as_slice() {
            b"OK" => {
                let version = items.version()?;
                items.number()?;
                items.number()?;
                BehindPutReply::Accepted(version)
            }
            b"DUP" => BehindPutReply::Accepted(items.version()?),
            b"NEED_EPOCH" => {
                items.number()?;
                BehindPutReply::NeedEpoch
            }
            b"FULL" => BehindPutReply::Full {
                entries: items.number()? as u64,
                bytes: items.number()? as u64,
            },
            b"CHANGED" => BehindPutReply::Changed,
            _ => return Err(BadReply::new("a reply of wbput", &Value::BulkString(name))),
        };
        Ok((reply, items.number()?))
    }

    fn now(reply: &Self::Reply) -> Option<f64> {
        Some(reply.1)
    }
}
