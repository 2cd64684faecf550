//! For how long a lock is certainly held, and the word that it is not any more.

use std::{sync::Arc, time::Duration};

use larder_base::{Clock, KeyLabel};
use tokio::sync::watch;

use super::{
    LockError, Loss,
    figures::{LOST_EXPIRED, LOST_TAKEN},
};
use crate::{
    figures::Tally,
    mutant::{self, Mutant},
};

/// By which part of a span two monotonic clocks may differ: a quartz is ten times as good.
const RATE_ERROR: u32 = 1_000;

/// What is left between the end of the work and the moment at which the store may grant the lock again, for timers and
/// schedulers that are late: a twentieth of the lease, within bounds.
const MARGIN_PART: u32 = 20;
const MARGIN_MIN: Duration = Duration::from_millis(10);
const MARGIN_MAX: Duration = Duration::from_millis(500);

/// When a lease ends for its holder: `ttl` was asked for by a request sent at `sent`, and the answer spoke of `left`.
pub(super) fn valid_until(sent: Duration, ttl: Duration, left: Duration) -> Duration {
    let span = if mutant::lives(Mutant::M20Ttl) {
        ttl
    } else {
        ttl.min(left)
    };
    let margin = (ttl / MARGIN_PART).clamp(MARGIN_MIN, MARGIN_MAX);
    sent + span.saturating_sub(span / RATE_ERROR).saturating_sub(margin)
}

#[derive(Clone, Copy)]
enum State {
    Held { until: Duration },
    Lost(Loss),
}

/// One holding of a lock. A loss is final: what was stopped because of it does not begin again.
#[derive(Debug)]
pub(super) struct Tenure {
    key: KeyLabel,
    clock: Clock,
    state: watch::Sender<State>,
    tally: Arc<Tally>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Held { .. } => f.write_str("held"),
            Self::Lost(loss) => write!(f, "lost: {loss:?}"),
        }
    }
}

impl Tenure {
    pub(super) fn new(key: KeyLabel, clock: &Clock, until: Duration, tally: &Arc<Tally>) -> Arc<Self> {
        Arc::new(Self {
            key,
            clock: clock.clone(),
            state: watch::Sender::new(State::Held { until }),
            tally: tally.clone(),
        })
    }

    pub(super) const fn key(&self) -> &KeyLabel {
        &self.key
    }

    pub(super) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The time by which leases go: a machine that is suspended does not suspend them.
    pub(super) fn now(&self) -> Duration {
        self.clock.boot()
    }

    /// What is left of it, if it is held.
    pub(super) fn check(&self) -> Result<Duration, LockError> {
        let now = self.now();
        if matches!(*self.state.borrow(), State::Held { until } if until <= now) {
            self.end(Loss::Expired);
        }
        match *self.state.borrow() {
            State::Held { until } => Ok(until.saturating_sub(now)),
            State::Lost(loss) => Err(self.lost_by(loss)),
        }
    }

    pub(super) fn lost_by(&self, loss: Loss) -> LockError {
        LockError::Lost {
            key: self.key.clone(),
            loss,
        }
    }

    /// It is held until then, if it is held at all.
    pub(super) fn confirm(&self, until: Duration) {
        self.state.send_if_modified(|state| {
            let is_held = matches!(state, State::Held { .. });
            if is_held {
                *state = State::Held { until };
            }
            is_held
        });
    }

    /// It is not held any more.
    pub(super) fn end(&self, loss: Loss) {
        let now = self.now();
        let ended = self.state.send_if_modified(|state| match state {
            // It may have been confirmed since somebody saw that its time was over.
            State::Held { until } if loss == Loss::Expired && *until > now => false,
            State::Held { .. } => {
                *state = State::Lost(loss);
                true
            }
            State::Lost(_) => false,
        });
        if ended {
            self.count(loss);
        }
    }

    fn count(&self, loss: Loss) {
        let series = match loss {
            Loss::Taken => LOST_TAKEN,
            Loss::Expired => LOST_EXPIRED,
            Loss::Released => return,
        };
        self.tally.count(series);
        tracing::warn!(key = %self.key, %loss, "a lease was lost");
    }

    /// Waits until it is not held any more, and says why.
    pub(super) async fn ended(self: Arc<Self>) -> Loss {
        let mut news = self.state.subscribe();
        loop {
            let state = *news.borrow_and_update();
            let until = match state {
                State::Lost(loss) => return loss,
                State::Held { until } => until,
            };
            let left = until.saturating_sub(self.now());
            if left.is_zero() {
                self.end(Loss::Expired);
                continue;
            }
            tokio::select! {
                () = self.clock.sleep(left) => {}
                // This very future keeps the sender.
                _ = news.changed() => {}
            }
        }
    }
}
