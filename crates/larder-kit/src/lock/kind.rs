//! What a kind of lease asks of the store: its scripts and the keys they take, as data.

use std::time::Duration;

use larder_store::{Script, ScriptCall, StoreError};
use redis::Value;

use super::{Fence, Released, token::Token};
use crate::{
    altered,
    reply::{integer, items, unexpected},
};

/// A kind of lease. The scripts of all kinds take the same arguments first and reply the same way.
#[derive(Debug)]
pub(super) struct Kind {
    /// What its keys begin with.
    pub(super) tool: &'static str,
    /// ARGV token16 ttl_ms replaces16, then the kind's own; REPLY `1 fence pttl_ms now`, or `0 pttl_ms now` if it is taken.
    pub(super) acquire: Step,
    pub(super) hold: Hold,
}

/// What is done with a lease that is held.
#[derive(Debug)]
pub(crate) struct Hold {
    /// ARGV token16 ttl_ms; REPLY `1 fence ttl_ms now`, or `0 now` if it is not this token's.
    pub(super) extend: Step,
    /// ARGV token16; REPLY 1, or 0 if it was not this token's.
    pub(super) release: Step,
    /// ARGV token16 ttl_ms from16 replaces16; REPLY as `extend`. `None` if its token cannot be handed on.
    pub(super) adopt: Option<Step>,
}

/// A script, and what its keys end with after the common stem.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) script: &'static Script,
    pub(crate) parts: &'static [&'static str],
}

impl Step {
    /// A call of it with the keys of `stem`.
    pub(crate) fn call(&self, stem: &str) -> ScriptCall {
        let parts = self.parts.iter();
        parts.fold(altered::call(self.script), |call, part| call.key([stem, part].concat()))
    }

    /// The same for `token`, which every script takes first.
    pub(super) fn call_for(&self, stem: &str, token: Token) -> ScriptCall {
        self.call(stem).arg(token.bytes())
    }

    /// What an acquiring, extending or adopting script answered.
    pub(super) fn read(&self, reply: &Value) -> Result<Answer, StoreError> {
        let name = self.script.name();
        let items = items(reply, 2, name)?;
        match (integer(&items[0])?, items) {
            (1, [_, fence, left, ..]) => Ok(Answer::Mine {
                fence: fence_of(integer(fence)?),
                left: millis(integer(left)?),
            }),
            (0, [_, left, ..]) => Ok(Answer::Not {
                left: others(integer(left)?),
            }),
            _ => Err(unexpected(name)),
        }
    }

    /// What a releasing script answered.
    pub(super) fn read_released(&self, reply: &Value) -> Result<Released, StoreError> {
        match integer(reply)? {
            1 => Ok(Released::Released),
            0 => Ok(Released::NotHeld),
            _ => Err(unexpected(self.script.name())),
        }
    }
}

/// What a script says of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is this token's.
    Mine { fence: Option<Fence>, left: Duration },
    /// It is not. Of an acquiring script: for how long another has it, if nobody renews it.
    Not { left: Duration },
}

/// Kinds without a fence answer 0.
fn fence_of(number: i64) -> Option<Fence> {
    u64::try_from(number).ok().filter(|number| *number > 0).map(Fence::new)
}

/// What PTTL says of a key that does not end.
const NO_TTL: i64 = -1;

/// For how long another has it. What has no TTL is not Larder's, and does not end by itself: whoever waits for it is in no
/// hurry.
fn others(number: i64) -> Duration {
    if number == NO_TTL {
        return Duration::MAX;
    }
    millis(number)
}

/// Negative where a key has no TTL, which Larder's have: then nothing is left.
fn millis(number: i64) -> Duration {
    Duration::from_millis(u64::try_from(number).unwrap_or_default())
}

/// A span as scripts take it; at least 1 ms.
pub(super) fn whole_millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_ends_is_not_asked_for_again_at_once() {
        static SCRIPT: Script = Script::new("test", "return 0");
        let step = Step {
            script: &SCRIPT,
            parts: &[],
        };
        let taken = |left: i64| Value::Array(vec![Value::Int(0), Value::Int(left), Value::Int(1)]);
        let left = |reply: &Value| match step.read(reply) {
            Ok(Answer::Not { left }) => left,
            other => panic!("{other:?}"),
        };
        assert_eq!(left(&taken(7)), Duration::from_millis(7));
        // A key of somebody else's, without a TTL: every waiter would ask five hundred times a second.
        assert_eq!(left(&taken(-1)), Duration::MAX);
        assert_eq!(left(&taken(-2)), Duration::ZERO);
    }
}
