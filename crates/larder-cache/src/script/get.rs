//! `get`: answer from E, or grant the right to load it.

use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{
    BadReply, Step, Token,
    pack::{EntryKeys, Pack},
    reply::Items,
};
use crate::{
    behind::DirtyPlace,
    core::Lesson,
    mutant::{self, Mutant},
    record,
};

static SCRIPT: Script = Script::new("get", include_str!("get.lua"));

/// What the caller wants beside the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nothing: never writes.
    Peek,
    /// The right to load what is missing or stale.
    Lease,
    /// The right to load even while the value is fresh.
    Early,
}

#[derive(Clone, Debug)]
pub(crate) struct Get {
    pub(crate) keys: EntryKeys,
    pub(crate) mode: Mode,
    pub(crate) token: Token,
    pub(crate) lease_ms: u64,
    /// The incarnation to install if M is lost; new for every attempt.
    pub(crate) candidate: [u8; 8],
    /// The token of the attempt that this one repeats.
    pub(crate) replaces: Token,
    /// Where the key may wait to be flushed, in a namespace with write-behind.
    pub(crate) dirty: Option<DirtyPlace>,
}

/// The answer; times in ms, records as they stand.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) state: Lease,
    /// The server's clock.
    pub(crate) now: f64,
}

/// The state of E, and whether the caller got its lease.
#[derive(Debug)]
pub(crate) enum Lease {
    /// A fresh value.
    Hit(Vec<u8>),
    /// A value within grace, being refreshed by another (or nobody, to a peek).
    Stale(Vec<u8>),
    /// Usable only if a load fails; to a peek alone.
    Fallback(Vec<u8>),
    /// Nothing there: the caller loads.
    Granted,
    /// A value within grace: serve it, and load.
    StaleGranted(Vec<u8>),
    /// A fresh value that the caller refreshes ahead.
    FreshGranted(Vec<u8>),
    /// The caller loads; the value is for the case that this fails.
    FallbackGranted(Vec<u8>),
    /// Another loads, for at most so long.
    Wait(f64),
    /// A writer holds the key for at most so long: load, do not fill.
    Held(f64),
    /// Nothing there; to a peek alone.
    Miss,
    /// Written, and not flushed yet: its record in the dirty map, which is the truth.
    Dirty(Vec<u8>),
}

impl Lease {
    /// Whether the caller now holds the lease.
    pub(crate) fn is_granted(&self) -> bool {
        matches!(
            self,
            Self::Granted | Self::StaleGranted(_) | Self::FreshGranted(_) | Self::FallbackGranted(_)
        )
    }

    /// What this answer says of the fast path, if that was not tried.
    pub(crate) fn lesson(&self) -> Lesson {
        match self {
            Self::Hit(bytes) if record::has_tags(bytes) => Lesson::Perhaps,
            Self::Hit(_) => Lesson::Fast,
            _ => Lesson::Slow,
        }
    }
}

impl Step for Get {
    type Reply = Got;

    fn call(&self) -> ScriptCall {
        let mode = match self.mode {
            Mode::Peek => "peek",
            Mode::Lease => "lease",
            Mode::Early => "early",
        };
        let dirty = self.dirty.as_ref().filter(|_| !mutant::lives(Mutant::M17));
        let pack = Pack::with_key(&SCRIPT, self.keys.all(), dirty.map(|dirty| &dirty.d))
            .text(mode)
            .bytes(&self.token)
            .number(self.lease_ms)
            .bytes(&self.candidate)
            .bytes(&self.replaces);
        match dirty {
            Some(dirty) => pack.bytes(&dirty.field).done(),
            None => pack.done(),
        }
    }

    fn parse(value: Value) -> Result<Got, BadReply> {
        let mut items = Items::of(value)?;
        let name = items.bytes()?;
        let granted = |items: &mut Items| items.fixed::<8>().and_then(|_| items.number());
        let state = match name.as_slice() {
            b"HIT" => Lease::Hit(items.bytes()?),
            b"STALE" => {
                let record = items.bytes()?;
                items.number()?;
                Lease::Stale(record)
            }
            b"FALLBACK" => Lease::Fallback(items.bytes()?),
            b"LEASE" => {
                granted(&mut items)?;
                Lease::Granted
            }
            b"STALE_LEASE" | b"FRESH_LEASE" | b"FALLBACK_LEASE" => {
                let record = items.bytes()?;
                granted(&mut items)?;
                match name[0] {
                    b'S' => Lease::StaleGranted(record),
                    b'F' if name[1] == b'R' => Lease::FreshGranted(record),
                    _ => Lease::FallbackGranted(record),
                }
            }
            b"WAIT" => Lease::Wait(items.number()?),
            b"HOLD" => Lease::Held(items.number()?),
            b"MISS" => Lease::Miss,
            b"DIRTY" => Lease::Dirty(items.bytes()?),
            _ => return Err(BadReply::new("a state of get", &Value::BulkString(name))),
        };
        Ok(Got {
            state,
            now: items.number()?,
        })
    }

    fn now(reply: &Got) -> Option<f64> {
        Some(reply.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(items: &[&[u8]]) -> Result<Got, BadReply> {
        Get::parse(Value::Array(
            items.iter().map(|item| Value::BulkString(item.to_vec())).collect(),
        ))
    }

    #[test]
    fn every_reply_of_the_script_is_read() {
        let state = |items: &[&[u8]]| reply(items).expect("a reply of get").state;
        assert!(matches!(state(&[b"HIT", b"e", b"5"]), Lease::Hit(e) if e == b"e"));
        assert!(matches!(state(&[b"STALE", b"e", b"10", b"5"]), Lease::Stale(_)));
        assert!(matches!(state(&[b"FALLBACK", b"e", b"5"]), Lease::Fallback(_)));
        assert!(matches!(state(&[b"LEASE", b"12345678", b"0", b"5"]), Lease::Granted));
        assert!(matches!(
            state(&[b"STALE_LEASE", b"e", b"12345678", b"0", b"5"]),
            Lease::StaleGranted(_)
        ));
        assert!(matches!(
            state(&[b"FRESH_LEASE", b"e", b"12345678", b"0", b"5"]),
            Lease::FreshGranted(_)
        ));
        assert!(matches!(
            state(&[b"FALLBACK_LEASE", b"e", b"12345678", b"0", b"5"]),
            Lease::FallbackGranted(_)
        ));
        assert!(matches!(state(&[b"WAIT", b"250", b"5"]), Lease::Wait(ms) if ms == 250.0));
        assert!(matches!(state(&[b"HOLD", b"250", b"5"]), Lease::Held(_)));
        assert!(matches!(state(&[b"DIRTY", b"record", b"5"]), Lease::Dirty(record) if record == b"record"));
        assert!(
            matches!(reply(&[b"MISS", b"1763600000000"]), Ok(Got { state: Lease::Miss, now }) if now == 1_763_600_000_000.0)
        );
    }

    #[test]
    fn what_the_script_never_says_is_an_error() {
        let bad: [&[&[u8]]; 6] = [
            &[],
            &[b"NEW"],
            &[b"HIT"],
            &[b"HIT", b"e"],
            &[b"WAIT", b"x", b"5"],
            &[b"LEASE", b"short", b"0", b"5"],
        ];
        for items in bad {
            assert!(reply(items).is_err());
        }
        assert!(Get::parse(Value::Nil).is_err());
    }
}
