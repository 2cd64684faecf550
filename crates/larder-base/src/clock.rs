//! The injected clock: a monotonic one for durations, a coarse one for the hit path, a wall clock for servers.
//!
//! The coarse clock is the kernel's `CLOCK_MONOTONIC_COARSE`: one tick (at most 4 ms) late, 2 to 5 ns a read
//! where `Instant::now` costs about 57. A cell advanced by a thread of this process would be as fast and
//! wrong: after the process was paused, the first readers would see the time before the pause.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};

/// A machine that was suspended for longer than this has missed too much to tell: below it, the two clocks that show it
/// merely are not read at the same moment.
const SUSPENDED: Duration = Duration::from_millis(100);

/// Where time comes from. A cheap clone; all clones of a manual clock move together.
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    Manual(ManualClock),
}

impl Clock {
    /// The machine's own clocks.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until its handle moves it, and the handle.
    #[must_use]
    pub fn manual() -> (Self, ManualClock) {
        let manual = ManualClock::default();
        (Self(Source::Manual(manual.clone())), manual)
    }

    /// Time since an arbitrary start; never steps back, stands still while the machine is suspended.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Source::System => read(ClockId::Monotonic),
            Source::Manual(manual) => manual.state.lock().monotonic,
        }
    }

    /// [`monotonic`](Self::monotonic), at most one kernel tick (4 ms) late, for the hit path.
    #[must_use]
    #[inline]
    pub fn coarse(&self) -> Duration {
        match &self.0 {
            Source::System => read(ClockId::MonotonicCoarse),
            Source::Manual(manual) => manual.state.lock().monotonic,
        }
    }

    /// [`coarse`](Self::coarse) in nanoseconds, which end in the year 584 of a machine's uptime. For the shortest of paths:
    /// making a `Duration` and taking it apart again costs a fifth of a near hit.
    #[must_use]
    #[inline]
    pub fn coarse_nanos(&self) -> u64 {
        match &self.0 {
            Source::System => {
                let time = clock_gettime(ClockId::MonotonicCoarse);
                // Both parts are non-negative for this clock.
                time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
            }
            Source::Manual(manual) => manual.state.lock().monotonic.as_nanos() as u64,
        }
    }

    /// Like [`monotonic`](Self::monotonic), but going on while the machine is suspended.
    #[must_use]
    pub fn boot(&self) -> Duration {
        match &self.0 {
            Source::System => read(ClockId::Boottime),
            Source::Manual(manual) => {
                let state = manual.state.lock();
                state.monotonic + state.suspended
            }
        }
    }

    /// For how long the machine was suspended so far, as [`slept_since`](Self::slept_since) takes it.
    #[must_use]
    pub fn suspended(&self) -> Duration {
        self.boot().saturating_sub(self.monotonic())
    }

    /// Whether the machine slept since it had been [`suspended`](Self::suspended) for `before`: then what was known at that
    /// time is of unknown age by [`monotonic`](Self::monotonic). A sleep below 100 ms does not count.
    #[must_use]
    pub fn slept_since(&self, before: Duration) -> bool {
        self.suspended().saturating_sub(before) > SUSPENDED
    }

    /// Time since 1970-01-01 UTC. It may step either way: no decision of a client may rest on it.
    #[must_use]
    pub fn unix(&self) -> Duration {
        match &self.0 {
            Source::System => read(ClockId::Realtime),
            Source::Manual(manual) => manual.state.lock().unix,
        }
    }

    /// Waits until [`monotonic`](Self::monotonic) is `at`: unlike a span, that does not move while it is worked out.
    ///
    /// # Panics
    /// As [`sleep`](Self::sleep).
    pub fn sleep_until(&self, at: Duration) -> Sleep {
        match &self.0 {
            Source::System => self.sleep(at.saturating_sub(self.monotonic())),
            Source::Manual(manual) => Sleep(Timer::Manual {
                until: at,
                clock: manual.clone(),
            }),
        }
    }

    /// Waits for `span` on this clock.
    ///
    /// # Panics
    /// On the system clock, when polled outside a Tokio runtime with its timer enabled.
    pub fn sleep(&self, span: Duration) -> Sleep {
        match &self.0 {
            Source::System => Sleep(Timer::System(Box::pin(tokio::time::sleep(span)))),
            Source::Manual(manual) => Sleep(Timer::Manual {
                until: self.monotonic().saturating_add(span),
                clock: manual.clone(),
            }),
        }
    }

    /// Runs `work` for at most `span` on this clock; `None` if time ran out first (then `work` is dropped).
    pub async fn timeout<F: Future>(&self, span: Duration, work: F) -> Option<F::Output> {
        let mut work = std::pin::pin!(work);
        let mut timer = self.sleep(span);
        std::future::poll_fn(|cx| {
            // The work first: what is done in time counts even if the timer fired in the same poll.
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(done));
            }
            Pin::new(&mut timer).poll(cx).map(|()| None)
        })
        .await
    }

    /// The handle that moves this clock, if it is a manual one.
    #[must_use]
    pub fn as_manual(&self) -> Option<&ManualClock> {
        match &self.0 {
            Source::System => None,
            Source::Manual(manual) => Some(manual),
        }
    }
}

#[inline]
fn read(id: ClockId) -> Duration {
    let time = clock_gettime(id);
    // Both parts are non-negative for these clocks on a machine whose date is past 1970.
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// The handle of a clock that only a test moves. It starts at 1,000 s monotonic and 2026-01-01 UTC.
#[derive(Clone, Debug)]
pub struct ManualClock {
    state: Arc<Mutex<Manual>>,
}

#[derive(Debug)]
struct Manual {
    monotonic: Duration,
    unix: Duration,
    suspended: Duration,
    sleepers: Vec<(Duration, Waker)>,
}

impl Default for ManualClock {
    fn default() -> Self {
        let manual = Manual {
            monotonic: Duration::from_secs(1_000),
            unix: Duration::from_secs(1_767_225_600),
            suspended: Duration::ZERO,
            sleepers: Vec::new(),
        };
        Self {
            state: Arc::new(Mutex::new(manual)),
        }
    }
}

impl ManualClock {
    /// Moves every clock on by `span` and wakes the sleeps that are due.
    pub fn advance(&self, span: Duration) {
        let due: Vec<Waker> = {
            let mut state = self.state.lock();
            state.monotonic += span;
            state.unix += span;
            let now = state.monotonic;
            let sleepers = std::mem::take(&mut state.sleepers);
            let (due, waiting) = sleepers.into_iter().partition(|(until, _)| *until <= now);
            state.sleepers = waiting;
            due.into_iter().map(|(_, waker): (Duration, Waker)| waker).collect()
        };
        due.into_iter().for_each(Waker::wake);
    }

    /// The machine sleeps for `span`: the boot and the wall clock move on, the monotonic one stands still, and nothing that
    /// sleeps on it is woken.
    pub fn suspend(&self, span: Duration) {
        let mut state = self.state.lock();
        state.suspended += span;
        state.unix += span;
    }

    /// Steps the wall clock alone, as an administrator or NTP would; the monotonic clock does not move.
    pub fn step_wall(&self, seconds: i64) {
        let mut state = self.state.lock();
        let span = Duration::from_secs(seconds.unsigned_abs());
        state.unix = if seconds < 0 {
            state.unix.saturating_sub(span)
        } else {
            state.unix + span
        };
    }

    /// How long until the next sleep is due; `None` if nothing sleeps.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        let state = self.state.lock();
        state
            .sleepers
            .iter()
            .map(|(until, _)| until.saturating_sub(state.monotonic))
            .min()
    }
}

/// The future of [`Clock::sleep`].
#[derive(Debug)]
#[must_use = "a sleep does nothing until awaited"]
pub struct Sleep(Timer);

#[derive(Debug)]
enum Timer {
    System(Pin<Box<tokio::time::Sleep>>),
    Manual { until: Duration, clock: ManualClock },
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.get_mut().0 {
            Timer::System(sleep) => sleep.as_mut().poll(cx),
            Timer::Manual { until, clock } => {
                let mut state = clock.state.lock();
                if state.monotonic >= *until {
                    return Poll::Ready(());
                }
                let known = state
                    .sleepers
                    .iter()
                    .any(|(at, waker)| at == until && waker.will_wake(cx.waker()));
                if !known {
                    state.sleepers.push((*until, cx.waker().clone()));
                }
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_clock_trails_the_exact_one_by_at_most_a_tick() {
        let clock = Clock::system();
        let before = clock.monotonic();
        let coarse = clock.coarse();
        assert!(
            coarse + Duration::from_millis(12) >= before,
            "{coarse:?} against {before:?}"
        );
        assert!(coarse <= clock.monotonic());
    }

    #[tokio::test]
    async fn a_manual_sleep_ends_when_the_clock_is_moved_past_it() {
        let (clock, hand) = Clock::manual();
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(5)).await }
        });
        while hand.next_due().is_none() {
            tokio::task::yield_now().await;
        }
        hand.advance(Duration::from_secs(4));
        assert_eq!(hand.next_due(), Some(Duration::from_secs(1)));
        hand.advance(Duration::from_secs(1));
        sleeper.await.expect("the sleeper does not panic");
    }

    #[test]
    fn a_suspended_machine_stops_the_monotonic_clock_alone() {
        let (clock, hand) = Clock::manual();
        let (mono, boot, unix) = (clock.monotonic(), clock.boot(), clock.unix());
        let hour = Duration::from_secs(3_600);
        hand.suspend(hour);
        assert_eq!((clock.monotonic(), clock.suspended()), (mono, hour));
        assert!(clock.slept_since(Duration::ZERO) && !clock.slept_since(hour));
        assert_eq!((clock.boot(), clock.unix()), (boot + hour, unix + hour));
    }

    #[test]
    fn a_wall_step_leaves_the_monotonic_clock_alone() {
        let (clock, hand) = Clock::manual();
        let (mono, unix) = (clock.monotonic(), clock.unix());
        hand.step_wall(-3_600);
        assert_eq!(
            (clock.monotonic(), clock.unix()),
            (mono, unix - Duration::from_secs(3_600))
        );
    }
}
