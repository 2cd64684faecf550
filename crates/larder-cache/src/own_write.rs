//! An own write under way (rule R2 of protocol 1.5).
//!
//! The server tells nobody of what they wrote themselves, so a process drops its copy before it sends a write and again on
//! the reply: what it read in between may be from before. If the caller goes away meanwhile there is no reply to see, and
//! the write still happens: then the copy is dropped at the first heartbeat that was sent after that, for the server
//! answers in turn.

use std::time::Duration;

use larder_base::CacheKey;
use parking_lot::Mutex;

use crate::coherence::NearTier;

/// Keys whose write was given up since the last heartbeat: more than this many, and every copy is dropped instead. They
/// last a heartbeat, a quarter of a second.
const UNSETTLED_MOST: usize = 1_024;

/// Drops the copies of some keys now, and again when it ends.
#[must_use = "it ends when dropped, as a write whose reply nobody saw"]
pub(crate) struct OwnWrite<'a, K: CacheKey, V> {
    tier: &'a NearTier<K, V>,
    keys: &'a [K],
    answered: bool,
}

impl<K: CacheKey, V> NearTier<K, V> {
    /// To be called before a write of `keys` is sent.
    pub(crate) fn writing<'a>(&'a self, keys: &'a [K]) -> OwnWrite<'a, K, V> {
        keys.iter().for_each(|key| self.own_write(key, None));
        OwnWrite {
            tier: self,
            keys,
            answered: false,
        }
    }
}

impl<K: CacheKey, V> OwnWrite<'_, K, V> {
    /// The reply is there, or it is certain that there will be none on this connection.
    pub(crate) fn answered(mut self) {
        self.answered = true;
    }
}

impl<K: CacheKey, V> Drop for OwnWrite<'_, K, V> {
    fn drop(&mut self) {
        self.keys.iter().for_each(|key| self.tier.own_write(key, None));
        if !self.answered {
            self.tier.unsettled.add(self.keys, self.tier.now());
        }
    }
}

/// The keys of writes that were given up, with the moment.
pub(crate) struct Unsettled<K>(Mutex<Vec<(Duration, K)>>);

/// What a heartbeat settles.
pub(crate) enum Settles<K> {
    Keys(Vec<K>),
    /// More than were kept.
    All,
}

impl<K: CacheKey> Unsettled<K> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn add(&self, keys: &[K], now: Duration) {
        let mut unsettled = self.0.lock();
        // One above the limit says that there were more.
        let room = (UNSETTLED_MOST + 1).saturating_sub(unsettled.len());
        unsettled.extend(keys.iter().take(room).map(|key| (now, key.clone())));
        if let Some((latest, _)) = unsettled.last_mut() {
            *latest = now;
        }
    }

    /// Takes what was given up before `sent`.
    pub(crate) fn settle(&self, sent: Duration) -> Settles<K> {
        let mut unsettled = self.0.lock();
        if unsettled.len() > UNSETTLED_MOST {
            let all_settled = unsettled.last().is_some_and(|(latest, _)| *latest < sent);
            if all_settled {
                unsettled.clear();
            }
            return Settles::All;
        }
        let (settled, left) = unsettled.drain(..).partition(|(given_up, _)| *given_up < sent);
        *unsettled = left;
        let settled: Vec<(Duration, K)> = settled;
        Settles::Keys(settled.into_iter().map(|(_, key)| key).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn keys(settles: Settles<u64>) -> Option<Vec<u64>> {
        match settles {
            Settles::Keys(keys) => Some(keys),
            Settles::All => None,
        }
    }

    #[test]
    fn a_heartbeat_settles_what_was_given_up_before_it_was_sent() {
        let unsettled = Unsettled::new();
        unsettled.add(&[1, 2], at(10));
        unsettled.add(&[3], at(20));
        assert_eq!(keys(unsettled.settle(at(10))), Some(vec![]));
        assert_eq!(keys(unsettled.settle(at(15))), Some(vec![1, 2]));
        assert_eq!(keys(unsettled.settle(at(25))), Some(vec![3]));
        assert_eq!(keys(unsettled.settle(at(30))), Some(vec![]));
    }

    #[test]
    fn too_many_settle_everything_until_the_last_one_is_settled() {
        let unsettled = Unsettled::new();
        let many: Vec<u64> = (0..2_000).collect();
        unsettled.add(&many, at(10));
        unsettled.add(&many, at(20));
        assert!(unsettled.0.lock().len() <= UNSETTLED_MOST + 1);
        assert_eq!(keys(unsettled.settle(at(15))), None);
        assert_eq!(keys(unsettled.settle(at(25))), None);
        assert_eq!(keys(unsettled.settle(at(30))), Some(vec![]));
    }
}
