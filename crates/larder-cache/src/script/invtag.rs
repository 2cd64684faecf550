//! `invtag`: invalidate tags in one partition; run for every partition, pipelined.

use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{BadReply, Logged, Step, pack::Pack, reply::number};
use crate::layout::Partition;

static SCRIPT: Script = Script::new("invtag", include_str!("invtag.lua"));

#[derive(Clone, Debug)]
pub(crate) struct InvalidateTags<'a> {
    pub(crate) partition: &'a Partition,
    /// New for every attempt, though a repeated one does no harm.
    pub(crate) random: [u8; 8],
    pub(crate) tags: &'a [String],
    pub(crate) log: Option<Logged>,
}

impl Step for InvalidateTags<'_> {
    /// The partition's tag sequence after it; 0 if nothing in it could be valid anyway.
    type Reply = f64;

    fn call(&self) -> ScriptCall {
        let Partition { m, t0, t1, .. } = self.partition;
        let log = self.log.as_ref();
        let pack = Pack::with_log(&SCRIPT, &[m.clone(), t0.clone(), t1.clone()], log)
            .bytes(&self.random)
            .log_max(log);
        self.tags
            .iter()
            .fold(pack, |pack, tag| pack.bytes(tag.as_bytes()))
            .done()
    }

    fn parse(value: Value) -> Result<f64, BadReply> {
        number(&value)
    }
}
