//! What happens in a cache.

use std::{fmt, time::Duration};

use larder_base::Clock;

use super::on::On;
use crate::CacheEvent;

/// [`Events`](crate::Events), blocking: an iterator that waits for the next event.
pub struct Events {
    on: On<crate::Events>,
    clock: Clock,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.on, f)
    }
}

impl Events {
    pub(super) fn of(on: On<crate::Events>, clock: &Clock) -> Self {
        let clock = clock.clone();
        Self { on, clock }
    }

    /// As `next`, for at most `limit`: `None` if nothing happened meanwhile, `Some(None)` once the cache is gone.
    #[track_caller]
    pub fn next_within(&mut self, limit: Duration) -> Option<Option<CacheEvent>> {
        let clock = self.clock.clone();
        self.on
            .wait_mut(|events| async move { clock.timeout(limit, events.next()).await })
    }
}

/// Ends with the cache.
impl Iterator for Events {
    type Item = CacheEvent;

    fn next(&mut self) -> Option<CacheEvent> {
        self.on.wait_mut(crate::Events::next)
    }
}
