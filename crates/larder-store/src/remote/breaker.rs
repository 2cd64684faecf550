//! Stops asking a server that keeps failing, and finds out with one probe whether it is back.

use std::{sync::Arc, time::Duration};

use larder_base::Clock;
use parking_lot::Mutex;

use crate::BreakerPolicy;

/// Closed: everything passes. Open: nothing does for `open_for`. Half-open: one probe passes; a connection closes the
/// breaker, another failure opens it again.
///
/// It is asked only where there is no connection, so a command on a live one pays nothing for it.
#[derive(Debug)]
pub(super) struct Breaker {
    policy: BreakerPolicy,
    clock: Clock,
    address: Arc<str>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    opened_at: Option<Duration>,
    probing: bool,
}

/// What a breaker lets pass; for `health()` and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerState {
    /// Everything.
    Closed,
    /// One probe.
    HalfOpen,
    /// Nothing.
    Open,
}

impl Breaker {
    pub(super) fn new(policy: BreakerPolicy, clock: Clock, address: Arc<str>) -> Self {
        Self {
            policy,
            clock,
            address,
            state: Mutex::default(),
        }
    }

    pub(super) fn state(&self) -> BreakerState {
        match self.state.lock().opened_at {
            None => BreakerState::Closed,
            Some(at) if self.clock.monotonic() < at + self.policy.open_for => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// Lets a command pass, as a probe if the breaker is half open; `Err` says when to come again.
    pub(super) fn admit(&self) -> Result<Option<Probe<'_>>, Duration> {
        let now = self.clock.monotonic();
        let mut state = self.state.lock();
        let Some(at) = state.opened_at else { return Ok(None) };
        let probe_at = at + self.policy.open_for;
        if now < probe_at || state.probing {
            return Err(probe_at.saturating_sub(now));
        }
        state.probing = true;
        Ok(Some(Probe(self)))
    }

    /// The server could not be reached, or left a command unanswered.
    pub(super) fn failed(&self) {
        let now = self.clock.monotonic();
        let mut state = self.state.lock();
        state.failures = state.failures.saturating_add(1);
        let opens = self.policy.failures > 0 && state.failures >= self.policy.failures;
        if opens && state.opened_at.is_none() {
            state.opened_at = Some(now);
            tracing::warn!(address = %self.address, failures = state.failures, "the store's breaker opened");
        }
    }

    /// The server answered.
    pub(super) fn succeeded(&self) {
        let mut state = self.state.lock();
        state.failures = 0;
        if state.opened_at.take().is_some() {
            tracing::info!(address = %self.address, "the store's breaker closed");
        }
    }
}

/// The one command that may try a half-open breaker. When it ends without success, the breaker is open again.
#[derive(Debug)]
pub(super) struct Probe<'a>(&'a Breaker);

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        let now = self.0.clock.monotonic();
        let mut state = self.0.state.lock();
        state.probing = false;
        if state.opened_at.is_some() {
            state.opened_at = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker(failures: u32) -> (Breaker, larder_base::ManualClock) {
        let (clock, hand) = Clock::manual();
        let policy = BreakerPolicy {
            failures,
            open_for: Duration::from_secs(1),
        };
        (Breaker::new(policy, clock, "here".into()), hand)
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_not_before() {
        let (breaker, _) = breaker(3);
        breaker.failed();
        breaker.failed();
        breaker.succeeded();
        breaker.failed();
        breaker.failed();
        assert_eq!(breaker.state(), BreakerState::Closed);
        breaker.failed();
        assert_eq!(breaker.admit().unwrap_err(), Duration::from_secs(1));
    }

    #[test]
    fn half_open_lets_one_probe_through() {
        let (breaker, hand) = breaker(1);
        breaker.failed();
        hand.advance(Duration::from_secs(1));
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        let probe = breaker.admit().unwrap().expect("a probe");
        assert!(breaker.admit().is_err(), "one probe at a time");
        drop(probe);
        assert_eq!(breaker.state(), BreakerState::Open, "a failed probe opens it again");
        hand.advance(Duration::from_secs(1));
        let probe = breaker.admit().unwrap().expect("a probe");
        breaker.succeeded();
        drop(probe);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn zero_failures_is_no_breaker() {
        let (breaker, _) = breaker(0);
        (0..100).for_each(|_| breaker.failed());
        assert!(breaker.admit().unwrap().is_none());
    }
}
