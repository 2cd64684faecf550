//! Messages from channels.

use std::{fmt, time::Duration};

use larder_base::Clock;
use larder_store::Event;

use super::on::On;

/// [`Subscription`](larder_store::Subscription), blocking: an iterator that waits for the next event.
pub struct Subscription {
    on: On<larder_store::Subscription>,
    clock: Clock,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.on, f)
    }
}

impl Subscription {
    pub(super) fn of(on: On<larder_store::Subscription>, clock: &Clock) -> Self {
        let clock = clock.clone();
        Self { on, clock }
    }

    /// As `next`, for at most `limit`: `None` if nothing came meanwhile, `Some(None)` once the subscription has ended.
    #[track_caller]
    pub fn next_within(&mut self, limit: Duration) -> Option<Option<Event>> {
        let clock = self.clock.clone();
        self.on
            .wait_mut(|events| async move { clock.timeout(limit, events.next()).await })
    }
}

/// Ends with the subscription.
impl Iterator for Subscription {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.on.wait_mut(larder_store::Subscription::next)
    }
}
