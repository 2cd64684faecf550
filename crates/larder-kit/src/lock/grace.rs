//! After a server came up as another: nothing is granted until whoever held a lock on the one before has lost it.

use std::{fmt, time::Duration};

use larder_store::{Generation, Store};
use parking_lot::Mutex;

/// What this process has seen of the store's generations.
pub(super) struct Grace {
    /// No lock of the namespace lasts longer.
    span: Duration,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    generation: Option<Generation>,
    /// When the first lock may be granted again, on the monotonic clock.
    until: Duration,
}

impl fmt::Debug for Grace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grace")
            .field("span", &self.span)
            .finish_non_exhaustive()
    }
}

impl Grace {
    pub(super) fn new(span: Duration, store: &Store) -> Self {
        let generation = store.generation();
        let until = Duration::ZERO;
        let seen = Mutex::new(Seen { generation, until });
        Self { span, seen }
    }

    /// What is left of a grace, which another generation than the one seen begins. The first one seen begins none: a fresh
    /// store has granted nothing.
    pub(super) fn left(&self, store: &Store) -> Option<Duration> {
        let (current, now) = (store.generation(), store.clock().monotonic());
        let mut seen = self.seen.lock();
        if current.is_some() && current != seen.generation {
            if seen.generation.is_some() {
                seen.until = now + self.span;
            }
            seen.generation = current;
        }
        Some(seen.until.saturating_sub(now)).filter(|left| !left.is_zero())
    }
}
