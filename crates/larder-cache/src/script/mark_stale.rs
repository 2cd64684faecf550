//! `mark_stale`: soft expiry; the value serves only where the next load fails.

use bytes::Bytes;
use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{BadReply, Invalidated, Step, inv, pack::Pack};

static SCRIPT: Script = Script::new("mark_stale", include_str!("mark_stale.lua"));

#[derive(Clone, Debug)]
pub(crate) struct MarkStale {
    pub(crate) e: Bytes,
}

impl Step for MarkStale {
    type Reply = Invalidated;

    fn call(&self) -> ScriptCall {
        Pack::new(&SCRIPT, std::slice::from_ref(&self.e)).done()
    }

    fn parse(value: Value) -> Result<Invalidated, BadReply> {
        inv::parse(&value)
    }
}
