//! What the server's clock says, estimated from replies, so that the fast path can judge freshness by itself.
//!
//! A reply carries the server's `now`, read somewhere between sending and receiving. Taking it for the moment
//! of receipt gives an estimate that is never ahead, and behind by at most the round trip: the error bound.
//! A wrong estimate shifts a refresh; it never makes a read unsafe.

use std::time::Duration;

use parking_lot::Mutex;

/// An estimate older than this is not used: the clocks' rates differ, and a server's clock may be set.
const USABLE: Duration = Duration::from_secs(5);

/// A sample older than this gives way to any newer one; a younger one only to a sharper one.
const REPLACED_AFTER: Duration = Duration::from_secs(2);

/// Scripts cut their clock to whole milliseconds.
const GRANULARITY: f64 = 1.0;

#[derive(Debug, Default)]
pub(crate) struct ServerClock(Mutex<Option<Sample>>);

#[derive(Clone, Copy, Debug)]
struct Sample {
    taken: Duration,
    /// Server ms minus local monotonic ms, at the reply.
    offset: f64,
    /// Round trip in ms.
    error: f64,
}

impl ServerClock {
    /// Notes that a request sent at `sent` was answered at `received` (local monotonic) with the server's `now` in ms.
    pub(crate) fn observe(&self, sent: Duration, received: Duration, now: f64) {
        let sample = Sample {
            taken: received,
            offset: now - ms(received),
            error: ms(received.saturating_sub(sent)),
        };
        let mut current = self.0.lock();
        let keep =
            current.is_some_and(|old| received.saturating_sub(old.taken) < REPLACED_AFTER && old.error < sample.error);
        if !keep {
            *current = Some(sample);
        }
    }

    /// An upper bound of the server's clock in ms; `None` if no reply is young enough.
    pub(crate) fn latest(&self, mono: Duration) -> Option<f64> {
        let sample = (*self.0.lock())?;
        let usable = mono.saturating_sub(sample.taken) < USABLE;
        usable.then(|| ms(mono) + sample.offset + sample.error + GRANULARITY)
    }
}

/// In milliseconds, as scripts count.
pub(crate) fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_bound_is_never_behind_the_server() {
        let clock = ServerClock::default();
        // The server stood at 10_000 when this process stood somewhere in 100..=140.
        clock.observe(at(100), at(140), 10_000.0);
        for server_read_at in [100, 120, 140] {
            let truth = 10_000.0 + (200 - server_read_at) as f64;
            assert!(clock.latest(at(200)).expect("young") >= truth);
        }
    }

    #[test]
    fn an_old_estimate_is_not_used_and_a_sharper_one_wins() {
        let clock = ServerClock::default();
        assert_eq!(clock.latest(at(0)), None);
        clock.observe(at(0), at(1), 1_000.0);
        clock.observe(at(1), at(101), 1_050.0);
        assert_eq!(
            clock.latest(at(101)),
            Some(1_102.0),
            "the blunt sample did not replace the sharp one"
        );
        assert_eq!(clock.latest(at(5_001)), None);
        clock.observe(at(3_000), at(3_100), 4_050.0);
        assert_eq!(clock.latest(at(3_100)), Some(4_151.0), "but an old one gives way");
    }
}
