//! `wbdead`: from what waits to the dead letters.

use bytes::Bytes;
use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{BadReply, Step, pack::Pack, reply::integer};

static SCRIPT: Script = Script::new("wbdead", include_str!("wbdead.lua"));

#[derive(Clone, Debug)]
pub(crate) struct BehindDead<'a> {
    pub(crate) d: &'a Bytes,
    pub(crate) z: &'a Bytes,
    pub(crate) w: &'a Bytes,
    pub(crate) x: &'a Bytes,
    pub(crate) field: &'a [u8],
    /// The first 16 bytes of the record, or all of a shorter one.
    pub(crate) version: &'a [u8],
    pub(crate) capacity: u64,
    pub(crate) id: &'a str,
    /// In case another letter has that one.
    pub(crate) other_id: &'a str,
    pub(crate) why: &'a str,
}

impl Step for BehindDead<'_> {
    /// 1 done, 2 done under the other id, 0 written again meanwhile, -1 no room.
    type Reply = i64;

    fn call(&self) -> ScriptCall {
        Pack::new(&SCRIPT, &[self.d, self.z, self.w, self.x].map(Bytes::clone))
            .bytes(self.field)
            .bytes(self.version)
            .number(self.capacity)
            .bytes(self.id.as_bytes())
            .bytes(self.why.as_bytes())
            .bytes(self.other_id.as_bytes())
            .done()
    }

    fn parse(value: Value) -> Result<i64, BadReply> {
        integer(&value)
    }
}
