//! `mark_stale`: soft expiry; the value serves only where the next load fails.

use bytes::Bytes;
use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{BadReply, Invalidated, Logged, Step, inv, pack::Pack};

static SCRIPT: Script = Script::new("mark_stale", include_str!("mark_stale.lua"));

#[derive(Clone, Debug)]
pub(crate) struct MarkStale {
    pub(crate) e: Bytes,
    pub(crate) log: Option<Logged>,
}

impl Step for MarkStale {
    type Reply = Invalidated;

    fn call(&self) -> ScriptCall {
        let log = self.log.as_ref();
        Pack::with_log(&SCRIPT, std::slice::from_ref(&self.e), log)
            .logged(log)
            .done()
    }

    fn parse(value: Value) -> Result<Invalidated, BadReply> {
        inv::parse(&value)
    }
}
