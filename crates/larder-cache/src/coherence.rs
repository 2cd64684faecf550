//! The near tier and what keeps it true (protocol 1.5).
//!
//! A copy is served iff its epoch is the present one and nothing touched its partition's M since it was read (R3, R5).
//! On the embedded store a push arrives inside the command that changes the key, so no time passes in which a
//! copy outlives its original. NOLOOP sends nothing for a process's own writes: those purge before they are
//! sent and again on their reply (R2).
//!
//! The epoch is even while the store vouches for copies and odd while it does not: one comparison answers both
//! questions on the hit path.

use std::{
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use larder_base::{CacheKey, WrittenKey};
use larder_near::{Entry, Near, Stamp};
use larder_store::Invalidations;

use crate::{
    layout::{Changed, Layout, PARTITIONS},
    marker::{Marker, Markers},
    record::Uid,
};

/// The near tier of one cache, its markers, and what is known of the stream of invalidations.
pub(crate) struct NearTier<K, V> {
    layout: Arc<Layout>,
    near: Option<Near<K, V>>,
    /// Whether anybody cares what happens to a key while it is read: a near tier that installs, or a wait that a push ends.
    watches: bool,
    markers: Markers<K>,
    /// Even: live; odd: nobody vouches for copies.
    epoch: AtomicU32,
    /// Per partition, how often its M was touched.
    revisions: [AtomicU32; PARTITIONS],
    /// How old a copy may become at most, whatever its TTL.
    max_age: Option<Duration>,
}

/// A value on its way into the near tier.
pub(crate) struct Copied<V> {
    /// `None`: there is none.
    pub(crate) value: Option<Arc<V>>,
    pub(crate) uid: Uid,
    pub(crate) tagged: bool,
    /// When the request was sent, on the monotonic clock.
    pub(crate) sent: Duration,
    /// How long it may be served from then.
    pub(crate) fresh_for: Duration,
}

impl<K: CacheKey, V> NearTier<K, V> {
    /// `listens`: nobody vouches for copies before [`Invalidations::restored`].
    pub(crate) fn new(layout: Arc<Layout>, capacity: usize, max_age: Option<Duration>, listens: bool) -> Self {
        Self {
            layout,
            near: (capacity > 0).then(|| Near::new(capacity)),
            watches: capacity > 0 || listens,
            markers: Markers::new(),
            epoch: AtomicU32::new(u32::from(listens)),
            revisions: std::array::from_fn(|_| AtomicU32::new(0)),
            max_age,
        }
    }

    /// The hit path: a lookup, a deadline, two comparisons.
    #[inline]
    pub(crate) fn hit(&self, key: &K, now: Duration) -> Option<Entry<V>> {
        let entry = self.near.as_ref()?.get(key, now)?;
        self.vouches_for(entry.stamp()).then_some(entry)
    }

    /// As [`hit`](Self::hit), the value alone.
    #[inline]
    pub(crate) fn value(&self, key: &K, now: Duration) -> Option<Option<Arc<V>>> {
        let near = self.near.as_ref()?;
        near.value(key, now, |stamp| self.vouches_for(stamp))
    }

    #[inline]
    fn vouches_for(&self, stamp: Stamp) -> bool {
        stamp.epoch == self.epoch() && stamp.marker == self.revision(stamp.partition)
    }

    /// A copy that is in doubt only because its partition's M was touched: worth asking whether it still holds.
    pub(crate) fn doubtful(&self, key: &K, now: Duration) -> Option<Entry<V>> {
        let entry = self.near.as_ref()?.get(key, now)?;
        let stamp = entry.stamp();
        (stamp.epoch == self.epoch() && stamp.marker != self.revision(stamp.partition)).then_some(entry)
    }

    /// A copy whose time passed at most `max_stale` ago, whatever became of its original: for when the store is down.
    pub(crate) fn stale(&self, key: &K, now: Duration, max_stale: Duration) -> Option<Entry<V>> {
        self.near.as_ref()?.get(key, now.saturating_sub(max_stale))
    }

    #[inline]
    fn epoch(&self) -> u32 {
        // Acquire: who sees the epoch sees what was dropped under it.
        self.epoch.load(Ordering::Acquire)
    }

    #[inline]
    fn revision(&self, partition: u8) -> u32 {
        // Acquire: as for the epoch. The mask spares a bounds check and changes nothing: partitions are below 64.
        self.revisions[usize::from(partition) % PARTITIONS].load(Ordering::Acquire)
    }

    /// Whether copies are kept for less than their values are fresh.
    pub(crate) const fn is_bounded_by_time(&self) -> bool {
        self.max_age.is_some()
    }

    pub(crate) fn has_near(&self) -> bool {
        self.near.is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.near.as_ref().map_or(0, Near::len)
    }

    /// R1: to be called before the request is written.
    pub(crate) fn mark(self: &Arc<Self>, key: &K, partition: u8) -> Marked<K, V> {
        let marker = Marker::new(self.epoch(), self.revision(partition));
        if self.watches {
            self.markers.register(key, &marker);
        }
        Marked {
            tier: self.clone(),
            key: key.clone(),
            partition,
            marker,
        }
    }

    /// R2, own write: to be called before it is sent and again on its reply.
    pub(crate) fn own_write(&self, key: &K, except: Option<&Marked<K, V>>) {
        if !self.watches {
            return;
        }
        self.markers.poison(key, except.map(|own| &own.marker));
        self.drop_copy(key);
    }

    /// R2, own tag invalidation or clear: every copy of every partition is in doubt.
    pub(crate) fn own_meta_write(&self) {
        (0..PARTITIONS).for_each(|p| self.touch(p as u8));
    }

    fn touch(&self, partition: u8) {
        self.revisions[usize::from(partition)].fetch_add(1, Ordering::AcqRel);
    }

    fn drop_copy(&self, key: &K) {
        if let Some(near) = &self.near {
            near.remove(key);
        }
    }

    /// Drops every copy.
    pub(crate) fn clear(&self) {
        if let Some(near) = &self.near {
            near.clear();
        }
    }

    /// Moves the epoch on: every copy of the one before is dead.
    fn next_epoch(&self, next: impl Fn(u32) -> u32) {
        let _previous = self
            .epoch
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |epoch| Some(next(epoch)));
    }
}

impl<K: CacheKey, V: Send + Sync> Invalidations for NearTier<K, V> {
    fn invalidated(&self, keys: Option<&[&[u8]]>) {
        let Some(keys) = keys else {
            self.next_epoch(|epoch| epoch.wrapping_add(2));
            self.markers.poison_all();
            return;
        };
        for key in keys {
            match self.layout.changed(key) {
                Some(Changed::Meta(partition)) => self.touch(partition),
                Some(Changed::Entry(written)) => {
                    if let Some(key) = WrittenKey::parse::<K>(written) {
                        self.own_write(&key, None);
                    }
                }
                None => {}
            }
        }
    }

    fn lost(&self) {
        self.next_epoch(|epoch| epoch.wrapping_add(1) | 1);
        self.markers.poison_all();
    }

    fn restored(&self) {
        self.next_epoch(|epoch| (epoch | 1).wrapping_add(1));
    }
}

/// A registered read; gone from the table when dropped.
pub(crate) struct Marked<K: Clone + Eq + Hash, V> {
    tier: Arc<NearTier<K, V>>,
    key: K,
    partition: u8,
    marker: Arc<Marker>,
}

impl<K: Clone + Eq + Hash, V> Drop for Marked<K, V> {
    fn drop(&mut self) {
        if self.tier.watches {
            self.tier.markers.unregister(&self.key, &self.marker);
        }
    }
}

impl<K: CacheKey, V> Marked<K, V> {
    /// Waits until somebody touches the key; for ever where nobody tells.
    pub(crate) async fn touched(&self) {
        self.marker.touched().await;
    }

    /// R3: installs what was read unless the key was touched since [`NearTier::mark`]. Epoch and revision of that
    /// moment go into the copy: if either moved, it is never served.
    pub(crate) fn install(&self, copied: Copied<V>) {
        let Some(near) = &self.tier.near else { return };
        let fresh_for = self
            .tier
            .max_age
            .map_or(copied.fresh_for, |max| max.min(copied.fresh_for));
        if fresh_for.is_zero() || self.marker.epoch % 2 == 1 {
            return;
        }
        let stamp = Stamp {
            uid: u64::from_be_bytes(copied.uid),
            epoch: self.marker.epoch,
            marker: self.marker.revision,
            partition: self.partition,
            tagged: copied.tagged,
        };
        let entry = Entry::new(copied.value, copied.sent.saturating_add(fresh_for), stamp);
        self.tier
            .markers
            .if_clean(&self.key, &self.marker, || near.install(self.key.clone(), entry));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(10);

    fn tier() -> Arc<NearTier<u64, u32>> {
        let tier = Arc::new(NearTier::new(Arc::new(Layout::new("n")), 100, None, true));
        tier.restored();
        tier
    }

    fn copied(tagged: bool) -> Copied<u32> {
        Copied {
            value: Some(Arc::new(7)),
            uid: [1; 8],
            tagged,
            sent: NOW,
            fresh_for: Duration::from_secs(5),
        }
    }

    fn is_served(tier: &NearTier<u64, u32>) -> bool {
        tier.hit(&42, NOW).is_some()
    }

    fn partition(tier: &NearTier<u64, u32>) -> u8 {
        tier.layout.address(&42u64).partition
    }

    fn push(tier: &NearTier<u64, u32>) {
        let e = tier.layout.address(&42u64).e;
        tier.invalidated(Some(&[&e]));
    }

    #[test]
    fn a_clean_read_is_installed_and_a_push_drops_it() {
        let tier = tier();
        tier.mark(&42, partition(&tier)).install(copied(false));
        assert!(is_served(&tier));
        push(&tier);
        assert!(!is_served(&tier));
        assert!(tier.markers.is_empty());
    }

    #[test]
    fn what_was_touched_while_its_answer_travelled_is_not_installed() {
        let touches: [fn(&NearTier<u64, u32>); 6] = [
            push,
            |tier| tier.own_write(&42, None),
            |tier| tier.invalidated(None),
            |tier| tier.invalidated(Some(&[&tier.layout.partition(partition(tier)).m])),
            NearTier::own_meta_write,
            |tier| (tier.lost(), tier.restored()).1,
        ];
        for (i, touch) in touches.into_iter().enumerate() {
            let tier = tier();
            let marked = tier.mark(&42, partition(&tier));
            touch(&tier);
            marked.install(copied(true));
            assert!(!is_served(&tier), "touch {i}");
        }
    }

    #[test]
    fn an_own_fill_spares_its_own_marker_alone() {
        let tier = tier();
        let (own, other) = (tier.mark(&42, partition(&tier)), tier.mark(&42, partition(&tier)));
        tier.own_write(&42, Some(&own));
        other.install(copied(false));
        assert!(!is_served(&tier));
        own.install(copied(false));
        assert!(is_served(&tier));
    }

    #[test]
    fn nothing_is_served_while_nobody_vouches() {
        let tier = tier();
        tier.mark(&42, partition(&tier)).install(copied(false));
        tier.lost();
        assert!(!is_served(&tier));
        tier.mark(&42, partition(&tier)).install(copied(false));
        assert!(!is_served(&tier), "installed while lost");
        tier.restored();
        assert!(!is_served(&tier), "an old copy does not come back");
        tier.lost();
        tier.lost();
        tier.restored();
        tier.mark(&42, partition(&tier)).install(copied(false));
        assert!(is_served(&tier));
    }

    #[test]
    fn a_touched_partition_leaves_copies_in_doubt() {
        let tier = tier();
        tier.mark(&42, partition(&tier)).install(copied(true));
        tier.invalidated(Some(&[&tier.layout.partition(partition(&tier)).m]));
        assert!(!is_served(&tier));
        assert!(tier.doubtful(&42, NOW).is_some());
        assert_eq!(tier.len(), 1);
    }

    #[test]
    fn a_copy_is_no_older_than_its_bound() {
        let tier: Arc<NearTier<u64, u32>> = Arc::new(NearTier::new(
            Arc::new(Layout::new("n")),
            100,
            Some(Duration::from_secs(1)),
            false,
        ));
        tier.mark(&42, partition(&tier)).install(copied(false));
        assert!(is_served(&tier));
        assert!(tier.hit(&42, NOW + Duration::from_secs(1)).is_none());
        assert!(
            tier.stale(&42, NOW + Duration::from_secs(2), Duration::from_secs(3))
                .is_some()
        );
    }
}
