//! When a key may be loaded again, in this process: spacing for a source that fails, or for rows that change all the time.
//!
//! What is forgotten for want of room is loaded without spacing: the room bounds memory, not correctness.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    time::Duration,
};

use ahash::RandomState;
use parking_lot::Mutex;

/// Keys remembered at a time: those loaded within one interval. A few MiB with keys of usual length.
const KEYS_MAX: usize = 16_384;

/// Spaces the loads of each key.
pub(crate) struct Pace<K> {
    interval: Duration,
    state: Mutex<State<K>>,
}

struct State<K> {
    next: HashMap<K, Duration, RandomState>,
    /// In the order of their times, for the interval is the same for all.
    order: VecDeque<(Duration, K)>,
}

impl<K: Clone + Eq + Hash> Pace<K> {
    /// Loads of one key are `interval` apart; zero spaces nothing.
    pub(crate) fn new(interval: Duration) -> Self {
        let state = State {
            next: HashMap::with_hasher(RandomState::new()),
            order: VecDeque::new(),
        };
        Self {
            interval,
            state: Mutex::new(state),
        }
    }

    /// How long until `key` may be loaded; `None`: now.
    pub(crate) fn left(&self, key: &K, now: Duration) -> Option<Duration> {
        if self.interval.is_zero() {
            return None;
        }
        self.state.lock().left(key, now)
    }

    /// As [`left`](Self::left); whoever is told `None` has taken the turn.
    pub(crate) fn take_turn(&self, key: &K, now: Duration) -> Option<Duration> {
        if self.interval.is_zero() {
            return None;
        }
        let mut state = self.state.lock();
        let left = state.left(key, now);
        if left.is_none() {
            state.note(key, now, now.saturating_add(self.interval));
        }
        left
    }

    /// Takes the turn of `key`, whosever it was.
    pub(crate) fn note(&self, key: &K, now: Duration) {
        if !self.interval.is_zero() {
            self.state.lock().note(key, now, now.saturating_add(self.interval));
        }
    }
}

impl<K: Clone + Eq + Hash> State<K> {
    fn left(&self, key: &K, now: Duration) -> Option<Duration> {
        self.next
            .get(key)
            .and_then(|next| next.checked_sub(now))
            .filter(|left| !left.is_zero())
    }

    fn note(&mut self, key: &K, now: Duration, next: Duration) {
        while let Some((at, _)) = self.order.front()
            && (*at <= now || self.order.len() >= KEYS_MAX)
        {
            self.forget_first();
        }
        self.next.insert(key.clone(), next);
        self.order.push_back((next, key.clone()));
    }

    fn forget_first(&mut self) {
        if let Some((at, key)) = self.order.pop_front()
            && self.next.get(&key) == Some(&at)
        {
            self.next.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_key_has_its_turn_once_an_interval() {
        let pace = Pace::new(at(100));
        assert_eq!(pace.take_turn(&1, at(0)), None);
        assert_eq!(pace.take_turn(&1, at(40)), Some(at(60)));
        assert_eq!(pace.take_turn(&2, at(40)), None, "another key");
        assert_eq!(pace.left(&1, at(100)), None);
        assert_eq!(pace.take_turn(&1, at(100)), None);
        pace.note(&1, at(150));
        assert_eq!(pace.left(&1, at(200)), Some(at(50)), "not by the earlier one");
    }

    #[test]
    fn memory_is_bounded() {
        let pace = Pace::new(at(1_000_000));
        for key in 0..KEYS_MAX + 10 {
            pace.note(&key, at(key as u64));
        }
        let sizes = |pace: &Pace<usize>| {
            let state = pace.state.lock();
            (state.next.len(), state.order.len())
        };
        assert_eq!(sizes(&pace), (KEYS_MAX, KEYS_MAX));
        assert_eq!(pace.left(&0, at(20_000)), None, "the oldest is forgotten");
        pace.note(&0, at(10_000_000));
        assert_eq!(sizes(&pace), (1, 1), "what is over goes");
    }

    #[test]
    fn without_an_interval_nothing_is_spaced() {
        let pace = Pace::new(Duration::ZERO);
        assert_eq!(pace.take_turn(&1, at(0)), None);
        assert_eq!(pace.take_turn(&1, at(0)), None);
    }
}
