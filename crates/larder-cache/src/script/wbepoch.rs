//! `wbepoch`: install an epoch that the sink has drawn for this generation of the store.

use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{BadReply, Step, pack::Pack, reply::integer};
use crate::behind::DirtyKeys;

static SCRIPT: Script = Script::new("wbepoch", include_str!("wbepoch.lua"));

#[derive(Clone, Debug)]
pub(crate) struct BehindEpoch<'a> {
    pub(crate) keys: &'a DirtyKeys,
    pub(crate) generation: &'a str,
    pub(crate) epoch: u64,
}

impl Step for BehindEpoch<'_> {
    /// Whether it was installed; if not, a higher one is there.
    type Reply = bool;

    fn call(&self) -> ScriptCall {
        Pack::new(&SCRIPT, &[self.keys.w.clone(), self.keys.d.clone()])
            .bytes(self.generation.as_bytes())
            .number(self.epoch)
            .done()
    }

    fn parse(value: Value) -> Result<bool, BadReply> {
        integer(&value).map(|installed| installed == 1)
    }
}
