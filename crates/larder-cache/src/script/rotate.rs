//! `rotate`: a new incarnation for one partition. `rotate_tags`: age its tag stamps.

use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{BadReply, Logged, Step, pack::Pack, reply::integer};
use crate::layout::Partition;

static ROTATE: Script = Script::new("rotate", include_str!("rotate.lua"));
static ROTATE_TAGS: Script = Script::new("rotate_tags", include_str!("rotate_tags.lua"));

/// Kills everything stored or leased under `expected`.
#[derive(Clone, Debug)]
pub(crate) struct Rotate<'a> {
    pub(crate) partition: &'a Partition,
    /// The incarnation read at the start of the call.
    pub(crate) expected: [u8; 8],
    /// New for every attempt.
    pub(crate) new: [u8; 8],
    pub(crate) log: Option<Logged>,
}

impl Step for Rotate<'_> {
    /// Whether this call did it; if not, someone else had.
    type Reply = bool;

    fn call(&self) -> ScriptCall {
        let Partition { m, t0, t1, .. } = self.partition;
        let log = self.log.as_ref();
        Pack::with_log(&ROTATE, &[m.clone(), t0.clone(), t1.clone()], log)
            .bytes(&self.expected)
            .bytes(&self.new)
            .log_max(log)
            .done()
    }

    fn parse(value: Value) -> Result<bool, BadReply> {
        integer(&value).map(|n| n == 1)
    }
}

/// Forgets the stamps that nobody used since the last call.
#[derive(Clone, Debug)]
pub(crate) struct RotateTags<'a> {
    pub(crate) partition: &'a Partition,
}

impl Step for RotateTags<'_> {
    /// Whether there was anything to age.
    type Reply = bool;

    fn call(&self) -> ScriptCall {
        Pack::new(&ROTATE_TAGS, &[self.partition.t0.clone(), self.partition.t1.clone()]).done()
    }

    fn parse(value: Value) -> Result<bool, BadReply> {
        integer(&value).map(|n| n == 1)
    }
}
