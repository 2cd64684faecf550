//! `wblag`: how much of a partition waits, and since when.

use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{BadReply, Step, pack::Pack, reply::Items};
use crate::behind::DirtyKeys;

static SCRIPT: Script = Script::new("wblag", include_str!("wblag.lua"));

#[derive(Clone, Debug)]
pub(crate) struct BehindLag<'a> {
    pub(crate) keys: &'a DirtyKeys,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct PartitionLag {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    pub(crate) dead: u64,
    /// In ms: for how long the oldest waits; 0 if nothing does.
    pub(crate) age_ms: f64,
    pub(crate) now: f64,
}

impl Step for BehindLag<'_> {
    type Reply = PartitionLag;

    fn call(&self) -> ScriptCall {
        let DirtyKeys { d, z, w, x, n, y, .. } = self.keys;
        Pack::new(&SCRIPT, &[d, z, w, x, n, y].map(Clone::clone)).done()
    }

    fn parse(value: Value) -> Result<PartitionLag, BadReply> {
        let mut items = Items::of(value)?;
        let (entries, bytes, dead) = (items.number()?, items.number()?, items.number()?);
        let (since, now) = (items.number()?, items.number()?);
        Ok(PartitionLag {
            entries: entries as u64,
            bytes: bytes as u64,
            dead: dead as u64,
            age_ms: if since > 0.0 { (now - since).max(0.0) } else { 0.0 },
            now,
        })
    }

    fn now(reply: &PartitionLag) -> Option<f64> {
        Some(reply.now)
    }
}
