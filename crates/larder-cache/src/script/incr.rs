//! `incr`: add to a counter, which gets its TTL in the same step.

use bytes::Bytes;
use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{BadReply, Step, pack::Pack};

static SCRIPT: Script = Script::new("incr", include_str!("incr.lua"));

#[derive(Clone, Debug)]
pub(crate) struct Incr {
    pub(crate) c: Bytes,
    pub(crate) delta: i64,
    /// 0 = never expires.
    pub(crate) ttl_ms: u64,
}

impl Step for Incr {
    type Reply = i64;

    fn call(&self) -> ScriptCall {
        Pack::new(&SCRIPT, std::slice::from_ref(&self.c))
            .bytes(self.delta.to_string().as_bytes())
            .number(self.ttl_ms)
            .done()
    }

    fn parse(value: Value) -> Result<i64, BadReply> {
        match &value {
            Value::Int(n) => Ok(*n),
            Value::BulkString(bytes) => std::str::from_utf8(bytes)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| BadReply::new("an integer", &value)),
            _ => Err(BadReply::new("an integer", &value)),
        }
    }
}
