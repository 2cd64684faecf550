//! `put`: last writer wins, for namespaces without a source.

use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{
    BadReply, Logged, Step, Token,
    pack::{EntryKeys, NewValue, Pack},
    reply::Items,
};

static SCRIPT: Script = Script::new("put", include_str!("put.lua"));

#[derive(Clone, Debug)]
pub(crate) struct Put<'a> {
    pub(crate) keys: &'a EntryKeys,
    pub(crate) token: Token,
    pub(crate) value: &'a NewValue,
    /// The incarnation to install if M is lost.
    pub(crate) candidate: [u8; 8],
    pub(crate) log: Option<Logged>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct PutReply {
    /// A writer's hold is open for so many ms: nothing was stored.
    pub(crate) held_ms: Option<f64>,
    /// The server's clock in ms.
    pub(crate) now: f64,
}

impl Step for Put<'_> {
    type Reply = PutReply;

    fn call(&self) -> ScriptCall {
        let log = self.log.as_ref();
        Pack::with_log(&SCRIPT, self.keys.all(), log)
            .bytes(&self.token)
            .value(self.value)
            .logged_or_not(log)
            .bytes(&self.candidate)
            .tags(&self.value.tags)
            .done()
    }

    fn parse(value: Value) -> Result<PutReply, BadReply> {
        let mut items = Items::of(value)?;
        let name = items.bytes()?;
        let held_ms = match name.as_slice() {
            b"OK" => {
                items.fixed::<8>()?;
                items.number()?;
                None
            }
            b"HELD" => Some(items.number()?),
            _ => return Err(BadReply::new("OK or HELD", &Value::BulkString(name))),
        };
        Ok(PutReply {
            held_ms,
            now: items.number()?,
        })
    }

    fn now(reply: &PutReply) -> Option<f64> {
        Some(reply.now)
    }
}
