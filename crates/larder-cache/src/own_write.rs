//! An own write under way (rule R2 of protocol 1.5).
//!
//! The server tells nobody of what they wrote themselves (NOLOOP), so a process drops its copy before it sends a write, and
//! keeps no new one before it has seen the reply: what it reads in between may be from before. Dropping the copy once more
//! on the reply would not do, for the task that waits for the reply may be kept waiting while heartbeats go on.
//!
//! If the caller goes away there is no reply to see, and the write still happens. Then it ends with the first heartbeat that
//! was sent later, for the server answers in turn.

use std::{borrow::Cow, sync::Arc, time::Duration};

use larder_base::CacheKey;
use parking_lot::Mutex;

use crate::{
    coherence::{Marked, NearTier},
    marker::Marker,
    script::Got,
};

/// Writes given up since the last heartbeat: beyond this many, every copy is dropped instead of theirs. They last a heartbeat,
/// a quarter of a second.
const GIVEN_UP_MOST: usize = 1_024;

/// An own write of some keys, from before it is sent until its reply is there.
#[must_use = "it ends when dropped, as a write whose reply nobody saw"]
pub(crate) struct OwnWrite<'a, K: CacheKey, V> {
    tier: &'a NearTier<K, V>,
    keys: Cow<'a, [K]>,
    /// The read that this write is, which installs what it wrote.
    own: Option<Arc<Marker>>,
    ended: bool,
}

impl<K: CacheKey, V> NearTier<K, V> {
    /// To be called before a write of `keys` is sent. `own` is the marker of what it will install.
    pub(crate) fn writing<'a>(
        &'a self,
        keys: impl Into<Cow<'a, [K]>>,
        own: Option<&Marked<K, V>>,
    ) -> OwnWrite<'a, K, V> {
        let keys = keys.into();
        let own = own.map(Marked::marker);
        keys.iter().for_each(|key| self.begin_write(key, own.as_ref()));
        OwnWrite {
            tier: self,
            keys,
            own,
            ended: false,
        }
    }
}

impl<K: CacheKey, V> OwnWrite<'_, K, V> {
    /// The reply is there: the keys were changed, or nobody can tell any more.
    pub(crate) fn changed(self) {
        self.end(true);
    }

    /// The reply is there: nothing was changed.
    pub(crate) fn unchanged(self) {
        self.end(false);
    }

    /// The reply to a `get` is there: a lease that was granted is a write.
    pub(crate) fn answered<E>(self, got: &Result<Got, E>) {
        match got {
            Ok(got) if !got.state.is_granted() => self.unchanged(),
            _ => self.changed(),
        }
    }

    fn end(mut self, changed: bool) {
        self.ended = true;
        let end = |key| self.tier.end_write(key, changed, self.own.as_ref());
        self.keys.iter().for_each(end);
    }
}

impl<K: CacheKey, V> Drop for OwnWrite<'_, K, V> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let end = |key| self.tier.end_write(key, true, None);
        if self.tier.has_heartbeats() {
            self.tier.given_up.add(&self.keys, self.tier.now()).iter().for_each(end);
        } else {
            // A write of the embedded engine is over when its caller can go away.
            self.keys.iter().for_each(end);
        }
    }
}

/// Writes that were given up, each with its moment.
pub(crate) struct GivenUp<K>(Mutex<State<K>>);

struct State<K> {
    writes: Vec<(Duration, K)>,
    /// When the last write was given up for which there was no room.
    more: Option<Duration>,
}

/// What a heartbeat ends.
pub(crate) struct Settled<K> {
    pub(crate) keys: Vec<K>,
    /// There were more than were kept: any copy may be from before one of them.
    pub(crate) all: bool,
}

impl<K: CacheKey> GivenUp<K> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(State {
            writes: Vec::new(),
            more: None,
        }))
    }

    /// Notes writes of `keys` as given up at `now`; those for which there is no room.
    fn add<'k>(&self, keys: &'k [K], now: Duration) -> &'k [K] {
        let mut state = self.0.lock();
        let room = GIVEN_UP_MOST - state.writes.len();
        let (kept, more) = keys.split_at(room.min(keys.len()));
        state.writes.extend(kept.iter().map(|key| (now, key.clone())));
        if !more.is_empty() {
            state.more = Some(now);
        }
        more
    }

    /// Takes what was given up before `sent`.
    pub(crate) fn settle(&self, sent: Duration) -> Settled<K> {
        let mut state = self.0.lock();
        let (before, left): (Vec<_>, Vec<_>) = state.writes.drain(..).partition(|(moment, _)| *moment < sent);
        state.writes = left;
        let all = state.more.is_some();
        if state.more.is_some_and(|moment| moment < sent) {
            state.more = None;
        }
        Settled {
            keys: before.into_iter().map(|(_, key)| key).collect(),
            all,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn settle(given_up: &GivenUp<u64>, ms: u64) -> (Vec<u64>, bool) {
        let settled = given_up.settle(at(ms));
        (settled.keys, settled.all)
    }

    #[test]
    fn a_heartbeat_ends_what_was_given_up_before_it_was_sent() {
        let given_up = GivenUp::new();
        assert!(given_up.add(&[1, 2], at(10)).is_empty());
        assert!(given_up.add(&[3], at(20)).is_empty());
        assert_eq!(settle(&given_up, 10), (vec![], false));
        assert_eq!(settle(&given_up, 15), (vec![1, 2], false));
        assert_eq!(settle(&given_up, 25), (vec![3], false));
        assert_eq!(settle(&given_up, 30), (vec![], false));
    }

    #[test]
    fn too_many_concern_everything_until_the_last_one_has_ended() {
        let given_up = GivenUp::new();
        let many: Vec<u64> = (0..2_000).collect();
        assert_eq!(given_up.add(&many, at(10)).len(), 2_000 - GIVEN_UP_MOST);
        assert_eq!(given_up.add(&many, at(20)).len(), 2_000);
        assert_eq!(settle(&given_up, 15), (many[..GIVEN_UP_MOST].to_vec(), true));
        assert_eq!(settle(&given_up, 25), (vec![], true));
        assert_eq!(settle(&given_up, 30), (vec![], false));
    }
}
