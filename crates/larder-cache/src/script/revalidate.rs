//! `revalidate`: is the near tier's copy still the store's valid, fresh value?

use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{
    BadReply, Step,
    pack::{EntryKeys, Pack},
    reply::Items,
};
use crate::record::Uid;

static SCRIPT: Script = Script::new("revalidate", include_str!("revalidate.lua"));

#[derive(Clone, Debug)]
pub(crate) struct Revalidate<'a> {
    pub(crate) keys: &'a EntryKeys,
    pub(crate) uid: Uid,
}

/// The answer; times in ms.
#[derive(Debug)]
pub(crate) enum Revalidated {
    /// The same value, fresh for so long and usable for so long.
    Same { soft_left: f64, now: f64 },
    /// Valid and fresh, but another value.
    Other { record: Vec<u8>, now: f64 },
    /// Ask `get`.
    No { now: f64 },
}

impl Step for Revalidate<'_> {
    type Reply = Revalidated;

    fn call(&self) -> ScriptCall {
        Pack::new(&SCRIPT, self.keys.all()).bytes(&self.uid).done()
    }

    fn parse(value: Value) -> Result<Revalidated, BadReply> {
        let mut items = Items::of(value)?;
        let name = items.bytes()?;
        Ok(match name.as_slice() {
            b"SAME" => {
                let soft_left = items.number()?;
                items.number()?;
                Revalidated::Same {
                    soft_left,
                    now: items.number()?,
                }
            }
            b"HIT" => Revalidated::Other {
                record: items.bytes()?,
                now: items.number()?,
            },
            b"NO" => Revalidated::No { now: items.number()? },
            _ => return Err(BadReply::new("SAME, HIT or NO", &Value::BulkString(name))),
        })
    }

    fn now(reply: &Revalidated) -> Option<f64> {
        Some(match reply {
            Revalidated::Same { now, .. } | Revalidated::Other { now, .. } | Revalidated::No { now } => *now,
        })
    }
}
