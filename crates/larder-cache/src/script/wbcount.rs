//! `wbcount`: add to a counter, for the source to be told later.

use bytes::Bytes;
use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{BadReply, Step, pack::Pack, reply::Items};
use crate::{Version, behind::DirtyKeys};

static SCRIPT: Script = Script::new("wbcount", include_str!("wbcount.lua"));

#[derive(Clone, Debug)]
pub(crate) struct BehindCount<'a> {
    pub(crate) keys: &'a DirtyKeys,
    pub(crate) c: &'a Bytes,
    pub(crate) written: &'a str,
    /// The key in full, where `written` is its digest.
    pub(crate) full: &'a str,
    pub(crate) delta: i64,
    /// 0 = never expires.
    pub(crate) ttl_ms: u64,
    pub(crate) delay_ms: u64,
    pub(crate) generation: &'a str,
    pub(crate) max_entries: u64,
    pub(crate) max_bytes: u64,
    pub(crate) operation: u128,
    pub(crate) operation_ms: u64,
    /// 3 sum, 4 total.
    pub(crate) kind: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BehindCountReply {
    /// Added, now or by an earlier copy of the same operation: the value after it.
    Accepted(i64, Version),
    NeedEpoch,
    Full {
        entries: u64,
        bytes: u64,
    },
}

impl Step for BehindCount<'_> {
    type Reply = (BehindCountReply, f64);

    fn call(&self) -> ScriptCall {
        let DirtyKeys { n, y, w, .. } = self.keys;
        let operation = self.keys.operation(self.operation);
        let keys = [n.clone(), y.clone(), w.clone(), self.c.clone(), operation];
        Pack::new(&SCRIPT, &keys)
            .bytes(self.written.as_bytes())
            .bytes(self.delta.to_string().as_bytes())
            .number(self.ttl_ms)
            .number(self.delay_ms)
            .bytes(self.generation.as_bytes())
            .number(self.max_entries)
            .number(self.max_bytes)
            .number(self.operation_ms)
            .number(self.kind)
            .bytes(self.full.as_bytes())
            .done()
    }

    fn parse(value: Value) -> Result<Self::Reply, BadReply> {
        let mut items = Items::of(value)?;
        let name = items.bytes()?;
        let reply = match name.as_slice() {
            b"OK" | b"DUP" => {
                let value = items.bytes()?;
                let value = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
                let value = value.ok_or_else(|| BadReply::new("an integer", &Value::Nil))?;
                BehindCountReply::Accepted(value, items.version()?)
            }
            b"NEED_EPOCH" => {
                items.number()?;
                BehindCountReply::NeedEpoch
            }
            b"FULL" => BehindCountReply::Full {
                entries: items.number()? as u64,
                bytes: items.number()? as u64,
            },
            _ => return Err(BadReply::new("a reply of wbcount", &Value::BulkString(name))),
        };
        Ok((reply, items.number()?))
    }

    fn now(reply: &Self::Reply) -> Option<f64> {
        Some(reply.1)
    }
}
