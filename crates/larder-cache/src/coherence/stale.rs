//! Copies that the hit path does not serve and that may be of use all the same: in doubt, or past their time while the store
//! is down.

use std::{sync::atomic::Ordering, time::Duration};

use larder_base::CacheKey;
use larder_near::Entry;

use super::{NEVER, NearTier, Vouching};

/// Which copies are good, or were when nobody vouched for them any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Good {
    epoch: u32,
    /// Until when they were vouched for.
    until: Duration,
}

impl<K: CacheKey, V> NearTier<K, V> {
    /// A copy that is in doubt only because something happened to its partition: worth asking whether it still holds.
    pub(crate) fn doubtful(&self, key: &K, now: Duration) -> Option<Entry<V>> {
        let entry = self.near.as_ref()?.get(key, now)?;
        let stamp = entry.stamp();
        let in_doubt = self.partitions.doubts(stamp.partition, stamp.tagged, stamp.marker);
        (stamp.epoch == self.epoch() && in_doubt).then_some(entry)
    }

    /// A copy whose time, and the time for which it was vouched for, passed at most `max_stale` ago: for when the store is
    /// down. What was known to be invalidated before that is not served.
    pub(crate) fn stale(&self, key: &K, now: Duration, max_stale: Duration) -> Option<Entry<V>> {
        let at = now.saturating_sub(max_stale);
        let entry = self.near.as_ref()?.get(key, at)?;
        let (stamp, good) = (entry.stamp(), self.good()?);
        let unchanged = stamp.marker == self.partitions.revision(stamp.partition, stamp.tagged);
        (stamp.epoch == good.epoch && at <= good.until && unchanged).then_some(entry)
    }

    pub(super) fn good(&self) -> Option<Good> {
        let epoch = self.epoch();
        if epoch % 2 == 1 {
            return *self.last_good.lock();
        }
        let until = self.vouched_until();
        Some(Good { epoch, until })
    }

    /// Until when copies of the present epoch are vouched for.
    fn vouched_until(&self) -> Duration {
        match (self.vouching, self.proven_at.load(Ordering::Acquire)) {
            (Vouching::Stream { bound }, at) if at != NEVER => Duration::from_nanos(at).saturating_add(bound),
            (Vouching::Stream { .. }, _) => Duration::ZERO,
            (Vouching::Embedded | Vouching::Nobody, _) => Duration::MAX,
        }
    }
}
