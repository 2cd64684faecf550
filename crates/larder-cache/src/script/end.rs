//! `endw` and `endput`: close a writer's hold, without or with storing what it committed.

use bytes::Bytes;
use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{
    BadReply, Logged, Step, Token,
    pack::{EntryKeys, NewValue, Pack},
    reply::Items,
};

static ENDW: Script = Script::new("endw", include_str!("endw.lua"));
static ENDPUT: Script = Script::new("endput", include_str!("endput.lua"));

/// Closes a hold without storing.
#[derive(Clone, Debug)]
pub(crate) struct Close {
    pub(crate) e: Bytes,
    pub(crate) token: Token,
    pub(crate) log: Option<Logged>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed {
    /// The hold was still there: it covered the commit.
    pub(crate) own_found: bool,
    /// The server's clock in ms.
    pub(crate) now: f64,
}

impl Step for Close {
    type Reply = Closed;

    fn call(&self) -> ScriptCall {
        let log = self.log.as_ref();
        Pack::with_log(&ENDW, std::slice::from_ref(&self.e), log)
            .bytes(&self.token)
            .logged(log)
            .done()
    }

    fn parse(value: Value) -> Result<Closed, BadReply> {
        let mut items = Items::of(value)?;
        let own_found = items.number()? == 1.0;
        items.number()?;
        Ok(Closed {
            own_found,
            now: items.number()?,
        })
    }

    fn now(reply: &Closed) -> Option<f64> {
        Some(reply.now)
    }
}

/// Closes a hold and stores what was committed, if nobody interfered.
#[derive(Clone, Debug)]
pub(crate) struct EndPut<'a> {
    pub(crate) keys: &'a EntryKeys,
    pub(crate) token: Token,
    pub(crate) value: &'a NewValue,
    pub(crate) log: Option<Logged>,
}

#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) outcome: Result<(), Unstored>,
    /// The server's clock in ms.
    pub(crate) now: f64,
}

/// Somebody interfered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unstored {
    /// The hold was still there: it covered the commit.
    pub(crate) own_found: bool,
}

impl Step for EndPut<'_> {
    type Reply = Stored;

    fn call(&self) -> ScriptCall {
        let log = self.log.as_ref();
        Pack::with_log(&ENDPUT, self.keys.all(), log)
            .bytes(&self.token)
            .value(self.value)
            .logged_or_not(log)
            .tags(&self.value.tags)
            .done()
    }

    fn parse(value: Value) -> Result<Stored, BadReply> {
        let mut items = Items::of(value)?;
        let name = items.bytes()?;
        let outcome = match name.as_slice() {
            b"OK" => {
                items.fixed::<8>()?;
                items.number()?;
                Ok(())
            }
            b"NO" => {
                items.bytes()?;
                let own_found = items.number()? == 1.0;
                items.number()?;
                Err(Unstored { own_found })
            }
            _ => return Err(BadReply::new("OK or NO", &Value::BulkString(name))),
        };
        Ok(Stored {
            outcome,
            now: items.number()?,
        })
    }

    fn now(reply: &Stored) -> Option<f64> {
        Some(reply.now)
    }
}
