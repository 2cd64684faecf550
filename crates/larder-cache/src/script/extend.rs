//! `extend`: the loader found the previous value unmodified, so it becomes fresh again without being sent.

use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{
    BadReply, Filled, Step, Token, fill,
    pack::{EntryKeys, Pack},
};

static SCRIPT: Script = Script::new("extend", include_str!("extend.lua"));

#[derive(Clone, Debug)]
pub(crate) struct Extend<'a> {
    pub(crate) keys: &'a EntryKeys,
    pub(crate) token: Token,
    pub(crate) soft_ms: u64,
    pub(crate) hard_ms: u64,
    pub(crate) cost_ms: u32,
}

impl Step for Extend<'_> {
    type Reply = Filled;

    fn call(&self) -> ScriptCall {
        Pack::new(&SCRIPT, self.keys.all())
            .bytes(&self.token)
            .number(self.soft_ms)
            .number(self.hard_ms)
            .number(u64::from(self.cost_ms))
            .done()
    }

    fn parse(value: Value) -> Result<Filled, BadReply> {
        fill::parse(value)
    }

    fn now(reply: &Filled) -> Option<f64> {
        Some(reply.now)
    }
}
