//! What all handles on a queue in this process share.

use std::{sync::Arc, time::Duration};

use larder_base::{Clock, Random};
use larder_store::{Script, ScriptCall, Store, StoreError};
use redis::Value;

use super::figures::Count;
use crate::{altered, figures::Tally, names::Namespace};

#[derive(Debug)]
pub(super) struct Core {
    pub(super) store: Store,
    pub(super) name: Namespace,
    /// What every key of the queue begins with.
    pub(super) stem: String,
    pub(super) settings: Settings,
    pub(super) tally: Arc<Tally>,
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) visibility: Duration,
    pub(super) attempts: u32,
    pub(super) backoff_first: Duration,
    pub(super) backoff_max: Duration,
    pub(super) payload_max: usize,
    pub(super) capacity: u64,
    pub(super) keep_for: Duration,
    pub(super) keep_count: u64,
    pub(super) running_max: u32,
}

impl Core {
    pub(super) fn clock(&self) -> &Clock {
        self.store.clock()
    }

    pub(super) fn random(&self) -> &Random {
        self.store.random()
    }

    pub(super) fn begin(&self, script: &'static Script) -> ScriptCall {
        altered::call(script).key(&self.stem)
    }

    /// Runs a script that answers a whole number.
    pub(super) async fn number(&self, call: &ScriptCall) -> Result<i64, StoreError> {
        crate::reply::integer(&self.store.call(call).await?)
    }

    pub(super) fn count(&self, what: Count) {
        self.tally.count(what as usize);
    }

    /// The name of one claim, which nobody else draws: 128 random bits.
    pub(super) fn token(&self) -> Arc<str> {
        format!("{:032x}", u128::from_be_bytes(self.random().bytes())).into()
    }

    /// After the failed `attempt`, counted from 1: doubled with each, of which half to all, so that jobs which failed together
    /// do not come back together.
    pub(super) fn backoff(&self, attempt: u32) -> Duration {
        let (first, max) = (self.settings.backoff_first, self.settings.backoff_max);
        let whole = first.saturating_mul(1 << attempt.saturating_sub(1).min(30)).min(max);
        whole.mul_f64(0.5 + self.random().unit() / 2.0)
    }
}

/// Whole milliseconds, rounded up: what is not zero does not become so.
pub(super) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX)
}

/// The bytes of a text that a script answered.
pub(super) fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

/// The same as text.
pub(super) fn text(value: &Value) -> Option<&str> {
    std::str::from_utf8(bytes(value)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_rounded_up() {
        assert_eq!(millis(Duration::ZERO), 0);
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::from_millis(7)), 7);
        assert_eq!(millis(Duration::MAX), i64::MAX);
    }
}
