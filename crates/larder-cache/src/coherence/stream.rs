//! The stream of invalidations: lost, back, resumed, and proven live (R4, R5).

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use larder_base::{CacheKey, WrittenKey, metric::Text};
use larder_near::nanos;
use larder_store::{HEARTBEAT, Heartbeat, Invalidations};

use super::{NEVER, NearTier, Vouching};
use crate::{
    CacheEvent,
    events::Teller,
    layout::Changed,
    metric,
    mutant::{self, Mutant},
};

/// The hit path reads a clock of the kernel that may be so far behind (R9): copies are trusted for this much less.
pub(super) const TICK: Duration = Duration::from_millis(4);

/// Heartbeats per bound: one that is late, or one answer that is slow, does not silence the near tier.
const BEATS: u32 = 4;

impl<K: CacheKey, V> NearTier<K, V> {
    /// Whether anything that this process sent is known to have been run some time later.
    pub(crate) const fn has_heartbeats(&self) -> bool {
        matches!(self.vouching, Vouching::Stream { .. })
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

    /// Records how far behind near copies may have been served at most since the proof before this one.
    fn note_staleness(&self, before: u64, sent: Duration, bound: Duration) {
        if self.has_near() && before != NEVER {
            let unproven = sent.saturating_sub(Duration::from_nanos(before));
            let namespace = self.layout.namespace().clone();
            metric::NEAR_STALENESS.record([Text::from(namespace)], unproven.min(bound));
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
                let before = self.proven_at.swap(nanos(proof), Ordering::Relaxed);
                self.note_staleness(before, proof, bound);
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
