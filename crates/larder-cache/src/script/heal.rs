//! `heal`: after a WRONGTYPE error, drop the keys that somebody else wrote over ours.

use bytes::Bytes;
use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{BadReply, Step, pack::Pack, reply::integer};

static SCRIPT: Script = Script::new("heal", include_str!("heal.lua"));

/// Keys, and the type that each must have.
#[derive(Clone, Debug)]
pub(crate) struct Heal {
    pub(crate) keys: Vec<(Bytes, &'static str)>,
}

impl Step for Heal {
    /// How many keys were dropped.
    type Reply = i64;

    fn call(&self) -> ScriptCall {
        let (keys, types): (Vec<Bytes>, Vec<&'static str>) = self.keys.iter().cloned().unzip();
        types.into_iter().fold(Pack::new(&SCRIPT, &keys), Pack::text).done()
    }

    fn parse(value: Value) -> Result<i64, BadReply> {
        integer(&value)
    }
}
