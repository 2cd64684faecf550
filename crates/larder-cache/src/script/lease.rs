//! `release` and `renew`: give a lease back, or keep it alive while its loader works.

use bytes::Bytes;
use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{
    BadReply, Step, Token,
    pack::Pack,
    reply::{Items, integer},
};

static RELEASE: Script = Script::new("release", include_str!("release.lua"));
static RENEW: Script = Script::new("renew", include_str!("renew.lua"));

/// Gives a lease back; an older value stays.
#[derive(Clone, Debug)]
pub(crate) struct Release {
    pub(crate) e: Bytes,
    pub(crate) token: Token,
}

impl Step for Release {
    /// Whether the lease was still the caller's.
    type Reply = bool;

    fn call(&self) -> ScriptCall {
        Pack::new(&RELEASE, std::slice::from_ref(&self.e))
            .bytes(&self.token)
            .done()
    }

    fn parse(value: Value) -> Result<bool, BadReply> {
        integer(&value).map(|n| n == 1)
    }
}

/// Makes a lease last `lease_ms` from now.
#[derive(Clone, Debug)]
pub(crate) struct Renew {
    pub(crate) e: Bytes,
    pub(crate) token: Token,
    pub(crate) lease_ms: u64,
}

impl Step for Renew {
    /// Whether the lease was still the caller's, and the server's clock in ms.
    type Reply = (bool, f64);

    fn call(&self) -> ScriptCall {
        Pack::new(&RENEW, std::slice::from_ref(&self.e))
            .bytes(&self.token)
            .number(self.lease_ms)
            .done()
    }

    fn parse(value: Value) -> Result<(bool, f64), BadReply> {
        let mut items = Items::of(value)?;
        Ok((items.number()? == 1.0, items.number()?))
    }

    fn now(reply: &(bool, f64)) -> Option<f64> {
        Some(reply.1)
    }
}
