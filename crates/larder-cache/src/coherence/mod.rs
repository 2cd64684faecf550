//! The near tier and what keeps it true (protocol 1.5).
//!
//! A copy is served iff its epoch is the present one, nothing happened to its partition since it was read (R3), and the
//! stream of invalidations was proven live a moment ago (R5): three comparisons on the hit path. On the embedded store a
//! push arrives inside the command that changes the key, so there is nothing to prove. NOLOOP sends nothing for a
//! process's own writes: those purge before they are sent and again on their reply (R2).
//!
//! The epoch is even while the store vouches for copies and odd while it does not: one comparison answers both
//! questions.
//!
//! The hit path is here. [`marked`] is how a copy gets in, [`changes`] and [`stream`] how it ends, and [`stale`] what it is
//! still good for then.

mod changes;
mod marked;
mod stale;
mod stream;

pub(crate) use self::marked::{Copied, Marked};

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_base::{CacheKey, Clock};
use larder_near::{Entry, Near, Stamp, nanos};
use parking_lot::Mutex;
use tokio::sync::Notify;

use self::stale::Good;
use crate::{
    estimate::ServerClock, events::Teller, layout::Layout, marker::Markers, mutant, own_write::GivenUp,
    partition::Partitions, pending::Pending,
};

/// What vouches for copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vouching {
    /// Nobody: their own time alone ends them.
    Nobody,
    /// A stream of invalidations that is never behind.
    Embedded,
    /// A stream that has to be proven live within so long, and after a gap waits for
    /// [`resume`](NearTier::resume).
    Stream {
        /// How long ago the last proof may be.
        bound: Duration,
    },
}

/// The near tier of one cache, its markers, and what is known of the stream of invalidations.
pub(crate) struct NearTier<K, V> {
    layout: Arc<Layout>,
    near: Option<Near<K, V>>,
    vouching: Vouching,
    /// Whether anybody cares what happens to a key while it is read: a near tier that installs, or a wait that a push ends.
    watches: bool,
    markers: Markers<K>,
    /// What must not be installed, because the store has not acknowledged its invalidation.
    pending: Arc<Pending>,
    /// Even: live; odd: nobody vouches for copies.
    epoch: AtomicU32,
    /// Until when the last heartbeat vouches for copies, in ns of the monotonic clock.
    proven_until: AtomicU64,
    /// When it was last proven live; unlike `proven_until` kept when the stream is lost, so that its age is seen to grow.
    proven_at: AtomicU64,
    /// Which copies were good when the stream was lost.
    last_good: Mutex<Option<Good>>,
    partitions: Partitions,
    /// Whether the stream is up. Guards every change of the epoch.
    up: Mutex<bool>,
    /// Who hears that the stream was lost, and that it is back.
    teller: OnceLock<Arc<Teller>>,
    /// Rung when the stream is back and waits for [`resume`](Self::resume).
    back: Notify,
    /// Own writes whose replies nobody waits for any more.
    pub(crate) given_up: GivenUp<K>,
    clock: Clock,
    /// What the server's clock says, learned from heartbeats too.
    server: Arc<ServerClock>,
    /// How old a copy may become at most, whatever its TTL.
    max_age: Option<Duration>,
}

/// A stream that was never proven live.
const NEVER: u64 = u64::MAX;

impl<K: CacheKey, V> NearTier<K, V> {
    pub(crate) fn new(
        layout: Arc<Layout>,
        capacity: usize,
        max_age: Option<Duration>,
        vouching: Vouching,
        clock: Clock,
        server: Arc<ServerClock>,
        pending: Arc<Pending>,
    ) -> Self {
        let listens = vouching != Vouching::Nobody;
        Self {
            layout,
            near: (capacity > 0).then(|| Near::new(capacity)),
            vouching,
            watches: capacity > 0 || listens,
            markers: Markers::new(),
            pending,
            epoch: AtomicU32::new(u32::from(listens)),
            proven_until: AtomicU64::new(if listens { 0 } else { u64::MAX }),
            proven_at: AtomicU64::new(NEVER),
            last_good: Mutex::new(None),
            partitions: Partitions::new(),
            up: Mutex::new(false),
            teller: OnceLock::new(),
            back: Notify::new(),
            given_up: GivenUp::new(),
            clock,
            server,
            max_age,
        }
    }

    /// The hit path: the proof, a lookup, a deadline, two comparisons.
    #[inline]
    pub(crate) fn hit(&self, key: &K, now: Duration) -> Option<Entry<V>> {
        let near = self.near.as_ref().filter(|_| self.is_proven(nanos(now)))?;
        let entry = near.get(key, now)?;
        self.vouches_for(entry.stamp()).then_some(entry)
    }

    /// As [`hit`](Self::hit), the value alone, now.
    #[inline]
    pub(crate) fn value(&self, key: &K) -> Option<Option<Arc<V>>> {
        let near = self.near.as_ref()?;
        // What need not be asked after the lookup is asked before it: no processor looks past the lock of the map. So a copy
        // is judged as of this moment; the clock may be later, which is only stricter.
        let (until, epoch) = (self.proven_until(), self.epoch());
        near.value(key, |copy| {
            let (now, stamp) = (mutant::coarse_nanos(&self.clock), copy.stamp());
            now <= until && copy.ends_after(now) && stamp.epoch == epoch && self.is_untouched(stamp)
        })
    }

    /// Whether the stream was live a moment ago. To be asked before the lookup: a proof that comes after a copy was taken out
    /// says nothing of what was pushed between the two.
    #[inline]
    fn is_proven(&self, now: u64) -> bool {
        now <= self.proven_until()
    }

    #[inline]
    fn proven_until(&self) -> u64 {
        // Acquire: who sees the proof sees what was dropped before it.
        self.proven_until.load(Ordering::Acquire)
    }

    #[inline]
    fn vouches_for(&self, stamp: Stamp) -> bool {
        stamp.epoch == self.epoch() && self.is_untouched(stamp)
    }

    /// Whether nothing happened to the copy's partition since it was read.
    #[inline]
    fn is_untouched(&self, stamp: Stamp) -> bool {
        stamp.marker == self.partitions.revision(stamp.partition, stamp.tagged)
    }

    #[inline]
    fn epoch(&self) -> u32 {
        // Acquire: who sees the epoch sees what was dropped under it.
        self.epoch.load(Ordering::Acquire)
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

    pub(crate) fn evictions(&self) -> u64 {
        self.near.as_ref().map_or(0, Near::evictions)
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.monotonic()
    }
}

#[cfg(test)]
mod tests;
