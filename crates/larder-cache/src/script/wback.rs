//! `wback`: remove exactly the versions that were flushed.

use bytes::Bytes;
use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{BadReply, Step, pack::Pack, reply::integer};

static SCRIPT: Script = Script::new("wback", include_str!("wback.lua"));

#[derive(Clone, Debug)]
pub(crate) struct BehindAck<'a> {
    pub(crate) d: &'a Bytes,
    pub(crate) z: &'a Bytes,
    pub(crate) w: &'a Bytes,
    /// Keys as they stand in D, each with the version that was flushed.
    pub(crate) flushed: Vec<(&'a [u8], &'a [u8])>,
}

impl Step for BehindAck<'_> {
    /// How many were removed: the others were written again meanwhile, or acknowledged by somebody else.
    type Reply = u64;

    fn call(&self) -> ScriptCall {
        let pack = Pack::new(&SCRIPT, &[self.d.clone(), self.z.clone(), self.w.clone()]);
        let flushed = self.flushed.iter();
        flushed
            .fold(pack, |pack, (field, version)| pack.bytes(field).bytes(version))
            .done()
    }

    fn parse(value: Value) -> Result<u64, BadReply> {
        integer(&value).map(i64::unsigned_abs)
    }
}
