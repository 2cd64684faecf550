//! `wbclaim`: take due keys for flushing.

use bytes::Bytes;
use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{BadReply, Step, pack::Pack, reply::Items};

static SCRIPT: Script = Script::new("wbclaim", include_str!("wbclaim.lua"));

#[derive(Clone, Debug)]
pub(crate) struct BehindClaim<'a> {
    pub(crate) d: &'a Bytes,
    pub(crate) z: &'a Bytes,
    pub(crate) limit: u64,
    pub(crate) visibility_ms: u64,
}

/// What was taken: keys as they stand in D, each with its record.
#[derive(Debug)]
pub(crate) struct BehindClaimed {
    pub(crate) records: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) now: f64,
}

impl Step for BehindClaim<'_> {
    type Reply = BehindClaimed;

    fn call(&self) -> ScriptCall {
        Pack::new(&SCRIPT, &[self.d.clone(), self.z.clone()])
            .number(self.limit)
            .number(self.visibility_ms)
            .done()
    }

    fn parse(value: Value) -> Result<BehindClaimed, BadReply> {
        let mut items = Items::of(value)?;
        let now = items.number()?;
        let mut records = Vec::with_capacity(items.left() / 2);
        while items.left() > 0 {
            records.push((items.bytes()?, items.bytes()?));
        }
        Ok(BehindClaimed { records, now })
    }

    fn now(reply: &BehindClaimed) -> Option<f64> {
        Some(reply.now)
    }
}
