//! `begin`: open a writer's hold before its commit.

use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{
    BadReply, Logged, Step, Token,
    pack::{EntryKeys, Pack},
    reply::Items,
};

static SCRIPT: Script = Script::new("begin", include_str!("begin.lua"));

#[derive(Clone, Debug)]
pub(crate) struct Begin<'a> {
    pub(crate) keys: &'a EntryKeys,
    pub(crate) token: Token,
    pub(crate) hold_ms: u64,
    pub(crate) candidate: [u8; 8],
    pub(crate) replaces: Token,
    pub(crate) log: Option<Logged>,
}

impl Step for Begin<'_> {
    /// The server's clock in ms. Whether other holds are open shows at the end, which stores only if none was.
    type Reply = f64;

    fn call(&self) -> ScriptCall {
        let log = self.log.as_ref();
        Pack::with_log(&SCRIPT, self.keys.all(), log)
            .bytes(&self.token)
            .number(self.hold_ms)
            .bytes(&self.candidate)
            .bytes(&self.replaces)
            .logged(log)
            .done()
    }

    fn parse(value: Value) -> Result<f64, BadReply> {
        let mut items = Items::of(value)?;
        items.number()?;
        items.number()
    }

    fn now(reply: &f64) -> Option<f64> {
        Some(*reply)
    }
}
