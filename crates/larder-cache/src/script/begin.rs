//! `begin`: open a writer's hold before its commit.

use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{
    BadReply, Step, Token,
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
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    /// No other hold is open, so the writer may store.
    pub(crate) alone: bool,
    /// The server's clock in ms.
    pub(crate) now: f64,
}

impl Step for Begin<'_> {
    type Reply = Begun;

    fn call(&self) -> ScriptCall {
        Pack::new(&SCRIPT, self.keys.all())
            .bytes(&self.token)
            .number(self.hold_ms)
            .bytes(&self.candidate)
            .bytes(&self.replaces)
            .done()
    }

    fn parse(value: Value) -> Result<Begun, BadReply> {
        let mut items = Items::of(value)?;
        Ok(Begun {
            alone: items.number()? == 1.0,
            now: items.number()?,
        })
    }

    fn now(reply: &Begun) -> Option<f64> {
        Some(reply.now)
    }
}
