//! The near tier and what keeps it true (protocol 1.5).
//!
//! A copy is served iff its epoch is the present one, nothing happened to its partition since it was read (R3), and the
//! stream of invalidations was proven live a moment ago (R5): three comparisons on the hit path. On the embedded store a
//! push arrives inside the command that changes the key, so there is nothing to prove. NOLOOP sends nothing for a
//! process's own writes: those purge before they are sent and again on their reply (R2).
//!
//! The epoch is even while the store vouches for copies and odd while it does not: one comparison answers both
//! questions.

use std::{
    hash::Hash,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_base::{CacheKey, Clock, WrittenKey};
use larder_near::{Entry, Near, Stamp, nanos};
use larder_store::{HEARTBEAT, Heartbeat, Invalidations};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    CacheEvent,
    estimate::ServerClock,
    events::Teller,
    layout::{Changed, Layout},
    marker::{Marker, Markers},
    mutant::{self, Mutant},
    own_write::GivenUp,
    partition::{MetaWrite, Partitions, Suspect, is_suspect},
    pending::Pending,
    record::{Meta, Uid},
};

/// The hit path reads a clock of the kernel that may be so far behind (R9): copies are trusted for this much less.
const TICK: Duration = Duration::from_millis(4);

/// Heartbeats per bound: one that is late, or one answer that is slow, does not silence the near tier.
const BEATS: u32 = 4;

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

/// Which copies are good, or were when nobody vouched for them any more.
#[derive(Clone, Copy, Debug)]
struct Good {
    epoch: u32,
    /// Until when they were vouched for.
    until: Duration,
}

/// A stream that was never proven live.
const NEVER: u64 = u64::MAX;

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
        let now = nanos(mutant::coarse(&self.clock));
        let near = self.near.as_ref().filter(|_| self.is_proven(now))?;
        near.value(key, now, |stamp| self.vouches_for(stamp))
    }

    /// Whether the stream was live a moment ago. To be asked before the lookup: a proof that comes after a copy was taken out
    /// says nothing of what was pushed between the two.
    #[inline]
    fn is_proven(&self, now: u64) -> bool {
        // Acquire: who sees the proof sees what was dropped before it.
        now <= self.proven_until.load(Ordering::Acquire)
    }

    #[inline]
    fn vouches_for(&self, stamp: Stamp) -> bool {
        stamp.epoch == self.epoch() && stamp.marker == self.partitions.revision(stamp.partition, stamp.tagged)
    }

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

    fn good(&self) -> Option<Good> {
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

    /// R1: to be called before the request is written.
    pub(crate) fn mark(self: &Arc<Self>, key: &K, partition: u8) -> Marked<K, V> {
        self.mark_if(self.watches, key, partition)
    }

    /// As [`mark`](Self::mark), for a read that waits for nobody: only a copy may come of it.
    pub(crate) fn mark_copy(self: &Arc<Self>, key: &K, partition: u8) -> Marked<K, V> {
        self.mark_if(self.has_near(), key, partition)
    }

    fn mark_if(self: &Arc<Self>, registers: bool, key: &K, partition: u8) -> Marked<K, V> {
        let marker = Marker::new(self.epoch(), self.partitions.revisions(partition));
        if registers {
            self.markers.register(key, &marker);
        }
        // After that: what becomes pending later poisons the marker.
        let quarantined = !self.pending.is_empty() && self.pending.quarantines(&self.layout.address(key).e);
        Marked {
            tier: self.clone(),
            key: key.clone(),
            partition,
            marker,
            registered: registers,
            quarantined,
        }
    }

    /// Somebody changed `key`: its copy is gone, and what is being read of it now is not installed.
    pub(crate) fn changed(&self, key: &K) {
        if self.watches {
            self.markers.poison(key, None);
            self.drop_copy(key);
        }
    }

    /// As [`changed`](Self::changed), and nothing is installed for `key` before [`end_write`](Self::end_write).
    pub(crate) fn begin_write(&self, key: &K, own: Option<&Arc<Marker>>) {
        if mutant::lives(Mutant::M29) {
            return;
        }
        if self.has_near() {
            self.markers.begin_write(key, own);
            self.drop_copy(key);
        } else if self.watches {
            self.markers.poison(key, own);
        }
    }

    /// Ends what [`begin_write`](Self::begin_write) began.
    pub(crate) fn end_write(&self, key: &K, changed: bool, own: Option<&Arc<Marker>>) {
        if mutant::lives(Mutant::M29) {
            return;
        }
        if self.has_near() {
            self.markers.end_write(key, changed, own);
        } else if self.watches && changed {
            self.markers.poison(key, own);
        }
    }

    /// R2, own tag invalidation or clear: every copy of every partition is in doubt until it is over, and then until M,
    /// which is no longer tracked, was read again.
    pub(crate) fn writing_metas(&self) -> Option<MetaWrite<'_>> {
        self.has_near().then(|| self.partitions.writing())
    }

    /// Whether anything that this process sent is known to have been run some time later.
    pub(crate) const fn has_heartbeats(&self) -> bool {
        matches!(self.vouching, Vouching::Stream { .. })
    }

    /// Every copy of a partition is dead.
    pub(crate) fn kill(&self, partition: u8) {
        self.partitions.kill(partition);
    }

    /// M of a partition was written.
    pub(crate) fn suspect(&self, partition: u8) {
        self.partitions.suspect(partition);
    }

    /// Waits until some partition is suspect; which ones are.
    pub(crate) async fn suspects(&self) -> Vec<Suspect> {
        self.partitions.suspects().await
    }

    /// What `GET M` said of a partition that was suspect; `None` if there is no M or no answer.
    pub(crate) fn settle(&self, suspect: Suspect, meta: Option<Meta>) {
        self.partitions.settle(suspect, meta);
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Ends the writes that were given up before `sent`: the server has run them.
    fn end_given_up(&self, sent: Duration) {
        let settled = self.given_up.settle(sent);
        settled.keys.iter().for_each(|key| self.end_write(key, true, None));
        if settled.all {
            self.markers.poison_all();
            self.clear();
        }
    }

    fn drop_copy(&self, key: &K) {
        if let Some(near) = &self.near {
            near.remove(key);
        }
    }

    /// Drops every copy, and what is about to be installed.
    pub(crate) fn drop_all(&self) {
        self.next_epoch(|epoch| epoch.wrapping_add(2));
        self.markers.poison_all();
        self.clear();
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

    /// Waits until the stream is back and copies wait for [`resume`](Self::resume); the epoch to give it.
    pub(crate) async fn waits_for_resume(&self) -> u32 {
        loop {
            if let Some(epoch) = self.is_waiting() {
                return epoch;
            }
            self.back.notified().await;
        }
    }

    /// The epoch to resume from, if the stream is up and copies are not served yet.
    pub(crate) fn is_waiting(&self) -> Option<u32> {
        let up = self.up.lock();
        let epoch = self.epoch();
        (*up && epoch % 2 == 1).then_some(epoch)
    }

    /// Serves copies again: what had to be repaired since `epoch` is. `false` if the stream was lost once more meanwhile.
    pub(crate) fn resume(&self, epoch: u32) -> bool {
        let up = self.up.lock();
        let resumes = *up && epoch % 2 == 1 && self.epoch() == epoch;
        if resumes {
            self.epoch.store(epoch.wrapping_add(1), Ordering::Release);
            self.tell(CacheEvent::Restored);
        }
        resumes
    }

    /// Who is told what becomes of the stream; to be called once.
    pub(crate) fn tells(&self, teller: Arc<Teller>) {
        let _first = self.teller.set(teller);
    }

    fn tell(&self, event: CacheEvent) {
        if let Some(teller) = self.teller.get() {
            teller.tell(|| event);
        }
    }

    /// How long ago the stream of invalidations was last proven live; `None` if there is none to prove, or it never was.
    pub(crate) fn unproven_for(&self, now: Duration) -> Option<Duration> {
        // Relaxed: a figure for people.
        let at = self.proven_at.load(Ordering::Relaxed);
        (at != NEVER).then(|| now.saturating_sub(Duration::from_nanos(at)))
    }
}

impl<K: CacheKey, V: Send + Sync> Invalidations for NearTier<K, V> {
    fn invalidated(&self, keys: Option<&[&[u8]]>) {
        let Some(keys) = keys else {
            if mutant::lives(Mutant::M46) {
                return;
            }
            let _up = self.up.lock();
            self.last_good.lock().take();
            self.next_epoch(|epoch| epoch.wrapping_add(2));
            self.markers.poison_all();
            return;
        };
        for key in keys {
            match self.layout.changed(key) {
                Some(Changed::Meta(partition)) if self.has_near() => self.partitions.suspect(partition),
                Some(Changed::Meta(_)) => {}
                Some(Changed::Entry(written)) => {
                    if let Some(key) = WrittenKey::parse::<K>(written) {
                        self.changed(&key);
                    }
                }
                None => {}
            }
        }
    }

    fn lost(&self) {
        let mut up = self.up.lock();
        if std::mem::replace(&mut *up, false) {
            self.tell(CacheEvent::Lost);
        }
        if mutant::lives(Mutant::M8) {
            return;
        }
        if self.epoch().is_multiple_of(2) {
            *self.last_good.lock() = self.good();
        }
        self.next_epoch(|epoch| epoch.wrapping_add(1) | 1);
        self.proven_until.store(0, Ordering::Release);
        drop(up);
        self.markers.poison_all();
    }

    fn restored(&self) {
        let mut up = self.up.lock();
        *up = true;
        match self.vouching {
            Vouching::Stream { .. } => self.back.notify_one(),
            Vouching::Embedded | Vouching::Nobody => self.next_epoch(|epoch| (epoch | 1).wrapping_add(1)),
        }
    }

    fn confirmed(&self, beat: Heartbeat) {
        let proof = if mutant::lives(Mutant::M9) {
            beat.received
        } else {
            beat.sent
        };
        let until = match self.vouching {
            // What is read within the bound after it was sent is told everything from before it was sent.
            Vouching::Stream { bound } => {
                self.proven_at.store(nanos(proof), Ordering::Relaxed);
                nanos(proof.saturating_add(bound).saturating_sub(TICK))
            }
            Vouching::Embedded | Vouching::Nobody => u64::MAX,
        };
        self.proven_until.store(until, Ordering::Release);
        self.end_given_up(beat.sent);
        if let Some(now) = beat.server {
            self.server.observe(beat.sent, beat.received, crate::estimate::ms(now));
        }
    }

    fn heartbeat(&self) -> Duration {
        match self.vouching {
            Vouching::Stream { bound } => HEARTBEAT.min(bound / BEATS),
            Vouching::Embedded | Vouching::Nobody => HEARTBEAT,
        }
    }
}

/// A registered read; gone from the table when dropped.
pub(crate) struct Marked<K: Clone + Eq + Hash, V> {
    tier: Arc<NearTier<K, V>>,
    key: K,
    partition: u8,
    marker: Arc<Marker>,
    registered: bool,
    quarantined: bool,
}

impl<K: Clone + Eq + Hash, V> Drop for Marked<K, V> {
    fn drop(&mut self) {
        if self.registered {
            self.tier.markers.unregister(&self.key, &self.marker);
        }
    }
}

impl<K: CacheKey, V> Marked<K, V> {
    pub(crate) fn marker(&self) -> Arc<Marker> {
        self.marker.clone()
    }

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
        let late;
        let marker = if mutant::lives(Mutant::M7) {
            late = Marker::new(self.tier.epoch(), self.tier.partitions.revisions(self.partition));
            &late
        } else {
            &self.marker
        };
        let revision = marker.revision(copied.tagged);
        if fresh_for.is_zero() || self.quarantined || marker.epoch % 2 == 1 || is_suspect(revision) {
            return;
        }
        let stamp = Stamp {
            uid: u64::from_be_bytes(copied.uid),
            epoch: marker.epoch,
            marker: revision,
            partition: self.partition,
            tagged: copied.tagged,
        };
        let entry = Entry::new(copied.value, copied.sent.saturating_add(fresh_for), stamp);
        self.tier
            .markers
            .if_clean(&self.key, marker, || near.install(self.key.clone(), entry));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(10);
    const BOUND: Duration = Duration::from_secs(1);

    fn tier_of(vouching: Vouching, max_age: Option<Duration>) -> Arc<NearTier<u64, u32>> {
        let layout = Arc::new(Layout::new("n"));
        Arc::new(NearTier::new(
            layout,
            100,
            max_age,
            vouching,
            Clock::manual().0,
            Arc::default(),
            Arc::default(),
        ))
    }

    fn tier() -> Arc<NearTier<u64, u32>> {
        let tier = tier_of(Vouching::Embedded, None);
        tier.restored();
        tier.confirmed(Heartbeat::ALWAYS);
        tier
    }

    /// A tier whose stream was proven live by a request sent at `NOW`.
    fn remote() -> Arc<NearTier<u64, u32>> {
        let tier = tier_of(Vouching::Stream { bound: BOUND }, None);
        tier.restored();
        tier.confirmed(beat(NOW));
        assert!(tier.resume(tier.is_waiting().expect("the stream is up")));
        tier
    }

    fn beat(sent: Duration) -> Heartbeat {
        let mut beat = Heartbeat::ALWAYS;
        beat.sent = sent;
        beat
    }

    /// What a read of M says, where it says anything.
    fn settle(tier: &NearTier<u64, u32>, meta: Option<Meta>) {
        let suspect = tier.partitions.list().remove(0);
        tier.settle(suspect, meta);
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
        let touches: [fn(&NearTier<u64, u32>); 7] = [
            push,
            |tier| tier.changed(&42),
            |tier| tier.writing(&[42], None).changed(),
            |tier| tier.invalidated(None),
            |tier| tier.invalidated(Some(&[&tier.layout.partition(partition(tier)).m])),
            |tier| drop(tier.writing_metas()),
            |tier| (tier.lost(), tier.restored(), tier.confirmed(Heartbeat::ALWAYS)).1,
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
        tier.writing(&[42], Some(&own)).changed();
        other.install(copied(false));
        assert!(!is_served(&tier));
        own.install(copied(false));
        assert!(is_served(&tier));
    }

    #[test]
    fn nothing_is_installed_while_an_own_write_is_under_way() {
        let tier = tier();
        let write = tier.writing(&[42], None);
        tier.mark(&42, partition(&tier)).install(copied(false));
        assert!(!is_served(&tier), "the read may have been run before the write");
        let late = tier.mark(&42, partition(&tier));
        write.changed();
        late.install(copied(false));
        assert!(!is_served(&tier));
        let write = tier.writing(&[42], None);
        let read = tier.mark(&42, partition(&tier));
        write.unchanged();
        read.install(copied(false));
        assert!(is_served(&tier), "nothing was written");
        drop((late, read));
        assert!(tier.markers.is_empty());
    }

    #[test]
    fn a_write_that_was_given_up_ends_with_a_later_heartbeat() {
        let tier = remote();
        drop(tier.writing(&[42], None));
        let given_up = tier.now();
        tier.confirmed(beat(given_up));
        tier.mark(&42, partition(&tier)).install(copied(false));
        assert!(!is_served(&tier), "the server may not have run it yet");
        tier.confirmed(beat(given_up + TICK));
        assert!(tier.markers.is_empty());
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
        tier.confirmed(Heartbeat::ALWAYS);
        tier.mark(&42, partition(&tier)).install(copied(false));
        assert!(is_served(&tier));
    }

    #[test]
    fn a_touched_partition_leaves_copies_in_doubt_until_its_meta_is_read() {
        let (m, tags) = ([1; 16], [[1; 8], [2; 8]].concat().try_into().expect("16 bytes"));
        for tagged in [false, true] {
            let tier = tier();
            let touch = || tier.invalidated(Some(&[&tier.layout.partition(partition(&tier)).m]));
            touch();
            settle(&tier, Some(m));
            tier.mark(&42, partition(&tier)).install(copied(tagged));
            assert!(is_served(&tier));
            touch();
            assert!(!is_served(&tier));
            assert!(tier.doubtful(&42, NOW).is_some());
            tier.mark(&42, partition(&tier)).install(copied(tagged));
            assert!(!is_served(&tier), "installed while suspect");
            settle(&tier, Some(m));
            tier.mark(&42, partition(&tier)).install(copied(tagged));
            touch();
            settle(&tier, Some(tags));
            assert_eq!(
                is_served(&tier),
                !tagged,
                "an invalidated tag concerns tagged copies alone"
            );
            assert_eq!(tier.doubtful(&42, NOW).is_some(), tagged);
            touch();
            settle(&tier, None);
            assert!(!is_served(&tier), "no value is valid without an incarnation");
        }
    }

    #[test]
    fn a_stream_that_falls_silent_vouches_for_nothing() {
        let tier = remote();
        tier.mark(&42, partition(&tier)).install(copied(false));
        let served_at = |after| tier.hit(&42, NOW + after).is_some();
        assert!(served_at(BOUND - TICK));
        assert!(!served_at(BOUND));
        tier.confirmed(beat(NOW + BOUND));
        assert!(
            served_at(BOUND + BOUND / 2),
            "the stream was never lost, so its copies are good"
        );
        assert_eq!(tier.unproven_for(NOW + BOUND + BOUND / 2), Some(BOUND / 2));
    }

    #[test]
    fn a_stream_that_is_back_waits_to_be_resumed() {
        let tier = remote();
        tier.lost();
        assert_eq!(tier.is_waiting(), None, "it is not back");
        tier.restored();
        tier.confirmed(beat(NOW));
        let epoch = tier.is_waiting().expect("it is back");
        tier.mark(&42, partition(&tier)).install(copied(false));
        assert!(!is_served(&tier), "nothing is installed before");
        tier.lost();
        tier.restored();
        tier.confirmed(beat(NOW));
        assert!(!tier.resume(epoch), "what was repaired is not enough any more");
        assert!(tier.resume(tier.is_waiting().expect("it is back")));
        tier.mark(&42, partition(&tier)).install(copied(false));
        assert!(is_served(&tier));
        assert_eq!(tier.is_waiting(), None);
    }

    #[test]
    fn a_copy_is_no_older_than_its_bound() {
        let tier = tier_of(Vouching::Nobody, Some(Duration::from_secs(1)));
        tier.mark(&42, partition(&tier)).install(copied(false));
        assert!(is_served(&tier));
        assert!(tier.hit(&42, NOW + Duration::from_secs(1)).is_none());
        assert!(
            tier.stale(&42, NOW + Duration::from_secs(2), Duration::from_secs(3))
                .is_some()
        );
    }

    #[test]
    fn a_lost_stream_leaves_copies_for_a_while_and_none_that_were_invalidated() {
        const MORE: Duration = Duration::from_secs(3);
        let installed = |tagged| {
            let tier = remote();
            tier.mark(&42, partition(&tier)).install(copied(tagged));
            tier
        };
        let at = |tier: &NearTier<u64, u32>, after| tier.stale(&42, NOW + after, MORE).is_some();
        let tier = installed(false);
        assert!(at(&tier, BOUND + MORE), "silent, not lost");
        assert!(!at(&tier, BOUND + MORE + TICK), "for so long past the last proof");
        tier.lost();
        tier.lost();
        assert!(at(&tier, BOUND + MORE) && !at(&tier, BOUND + MORE + TICK));
        tier.restored();
        tier.confirmed(beat(NOW + BOUND));
        assert!(
            at(&tier, BOUND + MORE),
            "until it is resumed the old copies are the best there is"
        );
        assert!(!at(&tier, BOUND + MORE + TICK), "and a new proof says nothing of them");
        assert!(tier.resume(tier.is_waiting().expect("it is back")));
        assert!(!at(&tier, BOUND));

        let before: [fn(&NearTier<u64, u32>); 4] = [
            push,
            |tier| tier.invalidated(None),
            |tier| tier.invalidated(Some(&[&tier.layout.partition(partition(tier)).m])),
            NearTier::drop_all,
        ];
        for (i, invalidate) in before.into_iter().enumerate() {
            for first in [true, false] {
                let tier = installed(true);
                if first {
                    invalidate(&tier);
                    tier.lost();
                } else {
                    tier.lost();
                    invalidate(&tier);
                }
                assert!(!at(&tier, Duration::ZERO), "invalidation {i}, first: {first}");
            }
        }
    }
}
