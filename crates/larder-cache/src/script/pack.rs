//! How keys and arguments are laid into a script call.

use bytes::Bytes;
use larder_base::codec::Encoded;
use larder_store::{Script, ScriptCall};

use super::Token;
use crate::{
    layout::{Address, Layout},
    record::Uid,
};

/// E, M, T0, T1 of one entry, in the order in which every script takes them.
#[derive(Clone, Debug)]
pub(crate) struct EntryKeys([Bytes; 4]);

impl EntryKeys {
    pub(crate) fn of(layout: &Layout, address: &Address) -> Self {
        let partition = layout.partition(address.partition);
        Self([
            address.e.clone(),
            partition.m.clone(),
            partition.t0.clone(),
            partition.t1.clone(),
        ])
    }

    pub(crate) fn e(&self) -> &Bytes {
        &self.0[0]
    }

    pub(crate) fn m(&self) -> &Bytes {
        &self.0[1]
    }

    pub(crate) fn all(&self) -> &[Bytes] {
        &self.0
    }
}

/// A value as `fill`, `put` and `endput` store it.
#[derive(Clone, Debug)]
pub(crate) struct NewValue {
    /// Fresh for this long, in ms from now.
    pub(crate) soft_ms: u64,
    /// Usable at all for this long, in ms from now.
    pub(crate) hard_ms: u64,
    pub(crate) encoded: Encoded,
    /// 0 for none.
    pub(crate) version: u64,
    pub(crate) schema: [u8; 4],
    pub(crate) cost_ms: u32,
    pub(crate) tags: Vec<String>,
}

impl NewValue {
    /// What will identify it once it is stored under `token`.
    pub(crate) fn uid(&self, token: Token) -> Uid {
        let mut uid = [0; 8];
        uid[..4].copy_from_slice(&token[..4]);
        uid[4..].copy_from_slice(&self.encoded.payload[..4]);
        uid
    }
}

/// The log that an invalidation is written to beside being done, and the name it is written under.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    pub(crate) l: Bytes,
    /// About how many items the log keeps.
    pub(crate) max: u64,
    /// The key as readers of the log know it; nothing where a whole partition is concerned.
    pub(crate) key: Bytes,
}

/// Keys, then arguments in order.
pub(super) struct Pack(ScriptCall);

impl Pack {
    pub(super) fn new(script: &'static Script, keys: &[Bytes]) -> Self {
        Self(keys.iter().fold(ScriptCall::new(script), ScriptCall::key))
    }

    /// The same with the log as the last key, if there is one.
    pub(super) fn with_log(script: &'static Script, keys: &[Bytes], log: Option<&Logged>) -> Self {
        Self::with_key(script, keys, log.map(|log| &log.l))
    }

    /// The same with `more` as the last key, if there is one.
    pub(super) fn with_key(script: &'static Script, keys: &[Bytes], more: Option<&Bytes>) -> Self {
        let Self(call) = Self::new(script, keys);
        Self(more.iter().fold(call, ScriptCall::key))
    }

    /// `log_max key`, if there is a log.
    pub(super) fn logged(self, log: Option<&Logged>) -> Self {
        match log {
            Some(log) => self.number(log.max).bytes(&log.key),
            None => self,
        }
    }

    /// `log_max key`, or what stands for no log.
    pub(super) fn logged_or_not(self, log: Option<&Logged>) -> Self {
        match log {
            Some(_) => self.logged(log),
            None => self.number(0).text(""),
        }
    }

    /// `log_max`, 0 for no log.
    pub(super) fn log_max(self, log: Option<&Logged>) -> Self {
        self.number(log.map_or(0, |log| log.max))
    }

    pub(super) fn bytes(self, arg: &[u8]) -> Self {
        Self(self.0.arg(arg))
    }

    pub(super) fn text(self, arg: &'static str) -> Self {
        Self(self.0.arg(arg))
    }

    pub(super) fn number(self, arg: u64) -> Self {
        // Every number here is a span in ms, a count or flags: far below 2^63.
        Self(self.0.int(arg as i64))
    }

    /// Arguments 2 to 8 of `fill`, `put` and `endput`: `soft_ms hard_ms flags src_ver8 schema4 cost_ms payload`.
    pub(super) fn value(self, value: &NewValue) -> Self {
        self.number(value.soft_ms)
            .number(value.hard_ms)
            .number(u64::from(value.encoded.flags))
            .bytes(&value.version.to_be_bytes())
            .bytes(&value.schema)
            .number(u64::from(value.cost_ms))
            .bytes(&value.encoded.payload)
    }

    /// The number of tags, then the tags.
    pub(super) fn tags(self, tags: &[String]) -> Self {
        let counted = self.number(tags.len() as u64);
        tags.iter().fold(counted, |pack, tag| pack.bytes(tag.as_bytes()))
    }

    pub(super) fn done(self) -> ScriptCall {
        self.0
    }
}
