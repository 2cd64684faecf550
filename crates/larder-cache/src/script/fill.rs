//! `fill`: store a loaded value, only under its exact lease.

use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{
    BadReply, Step, Token,
    pack::{EntryKeys, NewValue, Pack},
    reply::Items,
};

static SCRIPT: Script = Script::new("fill", include_str!("fill.lua"));

#[derive(Clone, Debug)]
pub(crate) struct Fill<'a> {
    pub(crate) keys: &'a EntryKeys,
    pub(crate) token: Token,
    pub(crate) value: &'a NewValue,
}

/// What became of a fill or an extend.
#[derive(Debug)]
pub(crate) struct Filled {
    pub(crate) outcome: Result<(), Rejection>,
    /// The server's clock in ms.
    pub(crate) now: f64,
}

/// Why a value was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// The key was invalidated, or lost: the lease with it.
    Gone,
    /// Another took the lease.
    Superseded,
    /// The namespace was cleared, or M lost.
    Cleared,
    /// The store has a newer version.
    Older,
    /// A tag of the value was invalidated since the lease, or may have been.
    Tag,
    /// Nothing there to extend.
    Empty,
}

impl Rejection {
    fn of(why: &[u8]) -> Option<Self> {
        Some(match why {
            b"gone" => Self::Gone,
            b"superseded" => Self::Superseded,
            b"inc" => Self::Cleared,
            b"older" => Self::Older,
            b"tag" | b"tag?" => Self::Tag,
            b"empty" => Self::Empty,
            _ => return None,
        })
    }
}

impl Step for Fill<'_> {
    type Reply = Filled;

    fn call(&self) -> ScriptCall {
        Pack::new(&SCRIPT, self.keys.all())
            .bytes(&self.token)
            .value(self.value)
            .tags(&self.value.tags)
            .done()
    }

    fn parse(value: Value) -> Result<Filled, BadReply> {
        parse(value)
    }

    fn now(reply: &Filled) -> Option<f64> {
        Some(reply.now)
    }
}

/// `OK inc8 tseq now | REJ why now`, of `fill` and of `extend`.
pub(super) fn parse(value: Value) -> Result<Filled, BadReply> {
    let mut items = Items::of(value)?;
    let name = items.bytes()?;
    let outcome = match name.as_slice() {
        b"OK" => {
            items.fixed::<8>()?;
            items.number()?;
            Ok(())
        }
        b"REJ" => {
            let why = items.bytes()?;
            Err(Rejection::of(&why).ok_or_else(|| BadReply::new("a reason", &Value::BulkString(why)))?)
        }
        _ => return Err(BadReply::new("OK or REJ", &Value::BulkString(name))),
    };
    Ok(Filled {
        outcome,
        now: items.number()?,
    })
}
