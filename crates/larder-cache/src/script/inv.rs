//! `inv`: hard invalidation of one key.

use bytes::Bytes;
use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{BadReply, Logged, Step, pack::Pack, reply::integer};

static SCRIPT: Script = Script::new("inv", include_str!("inv.lua"));

#[derive(Clone, Debug)]
pub(crate) struct Invalidate {
    pub(crate) e: Bytes,
    pub(crate) log: Option<Logged>,
}

/// What was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invalidated {
    /// A value or a lease, now gone.
    Dropped,
    /// Nothing.
    Nothing,
    /// An open hold: it stays, and its writer will not store.
    Held,
}

impl Step for Invalidate {
    type Reply = Invalidated;

    fn call(&self) -> ScriptCall {
        let log = self.log.as_ref();
        Pack::with_log(&SCRIPT, std::slice::from_ref(&self.e), log)
            .logged(log)
            .done()
    }

    fn parse(value: Value) -> Result<Invalidated, BadReply> {
        parse(&value)
    }
}

/// `1`, `0` or `2`, of `inv` and of `mark_stale`.
pub(super) fn parse(value: &Value) -> Result<Invalidated, BadReply> {
    Ok(match integer(value)? {
        0 => Invalidated::Nothing,
        2 => Invalidated::Held,
        _ => Invalidated::Dropped,
    })
}
