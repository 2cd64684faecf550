//! `wbepoch`: install an epoch that the sink has drawn for this generation of the store.

use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{BadReply, MapName, Step, pack::Pack, reply::integer};
use crate::behind::DirtyKeys;

static SCRIPT: Script = Script::new("wbepoch", include_str!("wbepoch.lua"));

#[derive(Clone, Debug)]
pub(crate) struct BehindEpoch<'a> {
    pub(crate) keys: &'a DirtyKeys,
    pub(crate) generation: &'a str,
    pub(crate) epoch: u64,
    /// What `wbdraw` said before it was drawn.
    pub(crate) name: MapName,
}

/// What became of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Installed {
    /// It stands, or a higher one does.
    Stands,
    /// It was drawn for a W that is lost.
    Outdated,
}

impl Step for BehindEpoch<'_> {
    type Reply = Installed;

    fn call(&self) -> ScriptCall {
        Pack::new(&SCRIPT, &[self.keys.w.clone(), self.keys.d.clone()])
            .bytes(self.generation.as_bytes())
            .number(self.epoch)
            .bytes(&self.name)
            .done()
    }

    fn parse(value: Value) -> Result<Installed, BadReply> {
        let is_outdated = integer(&value)? < 0;
        Ok(if is_outdated {
            Installed::Outdated
        } else {
            Installed::Stands
        })
    }
}
