//! This process's own invalidations of the last minute, for a store that comes back with older data (theorem T4).
//!
//! A failover or a restart may lose what was acknowledged last. What this process invalidated is repeated then; hence
//! each invalidation is noted here before it is sent, so that none can be acknowledged and missing.
//!
//! Two ages take turns, like the tag stamps in the store: no time is kept per key, and what was noted is kept for
//! one span at least and two at most. They age only while the store is known to be the same, so an outage of any
//! length loses nothing.

use std::{collections::HashSet, mem, time::Duration};

use parking_lot::Mutex;

use crate::owed::Owed;

/// How far back a store may have lost acknowledged changes: asynchronous replication lags by seconds, `appendfsync
/// everysec` by two, and a snapshot that is minutes old is what `Fence` is for.
const SPAN: Duration = Duration::from_secs(60);

/// Invalidations kept at most: about 20 MB of keys, repeated in half a second of the server's time. Beyond that a clear
/// costs less.
const KEPT_MAX: usize = 100_000;

/// The ring of one cache.
#[derive(Debug, Default)]
pub(crate) struct Ring(Mutex<Ages>);

#[derive(Debug, Default)]
struct Ages {
    young: Age,
    old: Age,
    /// When `young` began.
    since: Duration,
}

#[derive(Debug, Default)]
struct Age {
    noted: HashSet<Owed, ahash::RandomState>,
    /// There were more than could be kept, so none is.
    overflowed: bool,
}

impl Ring {
    /// Notes what is about to be sent.
    pub(crate) fn note(&self, owed: &[Owed]) {
        let mut ages = self.0.lock();
        let room = KEPT_MAX.saturating_sub(ages.old.noted.len());
        for one in owed {
            ages.young.note(one, room);
        }
    }

    /// The store is at `now` what it was: what it acknowledged long ago is safe.
    pub(crate) fn age(&self, now: Duration) {
        let mut ages = self.0.lock();
        if now.saturating_sub(ages.since) >= SPAN {
            ages.since = now;
            ages.old = mem::take(&mut ages.young);
        }
    }

    /// Everything noted; `None` if there was too much of it.
    pub(crate) fn noted(&self) -> Option<Vec<Owed>> {
        let ages = self.0.lock();
        if ages.young.overflowed || ages.old.overflowed {
            return None;
        }
        let again = ages.old.noted.difference(&ages.young.noted);
        Some(ages.young.noted.iter().chain(again).cloned().collect())
    }

    /// Forgets everything: the namespace was cleared, which is repeated in its place.
    pub(crate) fn cleared(&self) {
        let mut ages = self.0.lock();
        ages.old = Age::default();
        ages.young = Age::default();
        ages.young.note(&Owed::All, KEPT_MAX);
    }
}

impl Age {
    fn note(&mut self, owed: &Owed, room: usize) {
        if self.overflowed || self.noted.contains(owed) {
            return;
        }
        if self.noted.len() >= room {
            self.overflowed = true;
            self.noted = HashSet::default();
            return;
        }
        self.noted.insert(owed.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: usize) -> Owed {
        Owed::drop_of(n.to_string().into())
    }

    fn noted(ring: &Ring) -> usize {
        ring.noted().expect("it did not overflow").len()
    }

    #[test]
    fn what_was_noted_is_kept_for_a_span_at_least_and_two_at_most() {
        let ring = Ring::default();
        ring.age(SPAN);
        ring.note(&[entry(1), entry(1), entry(2)]);
        assert_eq!(noted(&ring), 2, "one key counts once");
        ring.age(SPAN * 2 - Duration::from_millis(1));
        ring.note(&[entry(3)]);
        ring.age(SPAN * 2);
        ring.note(&[entry(1)]);
        assert_eq!(noted(&ring), 3, "the young one is 1 ms old");
        ring.age(SPAN * 3);
        assert_eq!(ring.noted(), Some(vec![entry(1)]));
        ring.age(SPAN * 4);
        assert_eq!(noted(&ring), 0);
    }

    #[test]
    fn nothing_ages_while_the_store_is_away() {
        let ring = Ring::default();
        ring.age(SPAN);
        ring.note(&[entry(1)]);
        // Hours go by without a call of `age`, and what is noted then drops nothing.
        ring.note(&[entry(2)]);
        assert_eq!(noted(&ring), 2);
    }

    #[test]
    fn too_many_are_told_from_none_until_they_have_aged() {
        let ring = Ring::default();
        ring.age(SPAN);
        let many: Vec<Owed> = (0..=KEPT_MAX).map(entry).collect();
        ring.note(&many);
        assert_eq!(ring.noted(), None);
        ring.age(SPAN * 2);
        ring.note(&[entry(1)]);
        assert_eq!(ring.noted(), None, "what it lost was sent a moment ago");
        ring.age(SPAN * 3);
        assert_eq!(noted(&ring), 1);
        ring.note(&many);
        ring.cleared();
        assert_eq!(ring.noted(), Some(vec![Owed::All]));
    }
}
