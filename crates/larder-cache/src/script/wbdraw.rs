//! `wbdraw`: name the W for which an epoch is going to be drawn.

use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{BadReply, Step, pack::Pack};
use crate::behind::DirtyKeys;

static SCRIPT: Script = Script::new("wbdraw", include_str!("wbdraw.lua"));

/// The name of a W: random, so that no W has that of one before it.
pub(crate) type MapName = [u8; 8];

#[derive(Clone, Debug)]
pub(crate) struct BehindDraw<'a> {
    pub(crate) keys: &'a DirtyKeys,
    /// For a W that has none yet.
    pub(crate) name: MapName,
}

impl Step for BehindDraw<'_> {
    /// The name that it has.
    type Reply = MapName;

    fn call(&self) -> ScriptCall {
        Pack::new(&SCRIPT, std::slice::from_ref(&self.keys.w))
            .bytes(&self.name)
            .done()
    }

    fn parse(value: Value) -> Result<MapName, BadReply> {
        let name = match &value {
            Value::BulkString(bytes) => bytes.as_slice().try_into().ok(),
            _ => None,
        };
        name.ok_or_else(|| BadReply::new("a name of eight bytes", &value))
    }
}
