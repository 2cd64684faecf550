//! What is known of each partition's M: whether copies of the partition may be served, are in doubt, or are dead (rules
//! R2 and R3 of protocol 1.5).
//!
//! M holds the incarnation, which ends every value of the partition when it changes, and the count of tag invalidations,
//! which puts tagged values in doubt when it does. A push of M says neither, only that M was written. So the partition is
//! suspect until M was read again, once for however many pushes; then what the change does not concern lives on.
//!
//! A copy carries the revision of its partition; there are two per partition, for tagged and untagged copies. Even: copies
//! that carry it are good; odd: suspect, and nothing that carries an odd one is ever installed. Settled without a change
//! that matters, a revision goes back to the even number below, else on to the one above.

use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    layout::PARTITIONS,
    mutant::{self, Mutant},
    record::Meta,
};

/// The revisions of a partition at some moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Revisions {
    untagged: u32,
    tagged: u32,
}

impl Revisions {
    pub(crate) const fn of(self, tagged: bool) -> u32 {
        if tagged { self.tagged } else { self.untagged }
    }
}

/// Whether nothing that carries this revision may be served or installed.
pub(crate) const fn is_suspect(revision: u32) -> bool {
    revision % 2 == 1
}

/// A partition that was suspect when M was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Suspect {
    pub(crate) partition: u8,
    /// Touched once more since, the answer settles nothing.
    touches: u32,
}

/// What is known of a partition beside its revisions.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// M when it was last read here; no copy of a settled revision is older.
    meta: Option<Meta>,
    touches: u32,
}

/// An own tag invalidation or clear, from before it is sent until its reply is there: every partition is suspect.
#[must_use = "it ends when dropped"]
pub(crate) struct MetaWrite<'a>(&'a Partitions);

impl Drop for MetaWrite<'_> {
    fn drop(&mut self) {
        self.0.known.lock().writes -= 1;
        if mutant::lives(Mutant::M48) {
            return self.0.tags_moved();
        }
        // Whatever M was read meanwhile may be from before.
        self.0.suspect_all();
    }
}

struct State {
    partitions: [Known; PARTITIONS],
    /// Own tag invalidations and clears under way: nothing is settled meanwhile.
    writes: usize,
}

pub(crate) struct Partitions {
    /// Two per partition: untagged, tagged.
    revisions: [AtomicU32; 2 * PARTITIONS],
    known: Mutex<State>,
    /// Rung when a partition becomes suspect.
    rung: Notify,
}

impl Partitions {
    pub(crate) fn new() -> Self {
        Self {
            revisions: std::array::from_fn(|_| AtomicU32::new(0)),
            known: Mutex::new(State {
                partitions: [Known::default(); PARTITIONS],
                writes: 0,
            }),
            rung: Notify::new(),
        }
    }

    #[inline]
    pub(crate) fn revision(&self, partition: u8, tagged: bool) -> u32 {
        // Acquire: who sees the revision sees what was dropped under it. The mask spares a bounds check and changes
        // nothing: partitions are below 64.
        self.revisions[(usize::from(partition) * 2 + usize::from(tagged)) % (2 * PARTITIONS)].load(Ordering::Acquire)
    }

    pub(crate) fn revisions(&self, partition: u8) -> Revisions {
        Revisions {
            untagged: self.revision(partition, false),
            tagged: self.revision(partition, true),
        }
    }

    /// Whether a copy of this revision may still hold although it is not to be served: its partition is suspect, or a tag
    /// was invalidated that need not be one of its own.
    pub(crate) fn doubts(&self, partition: u8, tagged: bool, revision: u32) -> bool {
        let now = self.revision(partition, tagged);
        now != revision && (tagged || is_suspect(now))
    }

    /// M was written, or is about to be.
    pub(crate) fn suspect(&self, partition: u8) {
        self.touch(&mut self.known.lock().partitions[usize::from(partition)], partition);
        self.rung.notify_one();
    }

    /// Every copy of the partition is dead, whatever M says.
    pub(crate) fn kill(&self, partition: u8) {
        let _all = self.known.lock();
        for revision in self.pair(partition) {
            // By two: whether it is suspect stays as it is.
            revision.fetch_add(2, Ordering::AcqRel);
        }
    }

    /// Every M was written, or is about to be.
    pub(crate) fn suspect_all(&self) {
        let mut state = self.known.lock();
        for (partition, known) in state.partitions.iter_mut().enumerate() {
            self.touch(known, partition as u8);
        }
        drop(state);
        self.rung.notify_one();
    }

    /// To be called before a tag invalidation or a clear is sent.
    pub(crate) fn writing(&self) -> MetaWrite<'_> {
        self.known.lock().writes += 1;
        self.suspect_all();
        MetaWrite(self)
    }

    /// Without a look at M: tagged copies die, and that is all.
    fn tags_moved(&self) {
        for partition in 0..PARTITIONS as u8 {
            let [untagged, tagged] = self.pair(partition) else {
                return;
            };
            untagged.fetch_and(!1, Ordering::AcqRel);
            tagged.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn touch(&self, known: &mut Known, partition: u8) {
        known.touches = known.touches.wrapping_add(1);
        for revision in self.pair(partition) {
            revision.fetch_or(1, Ordering::AcqRel);
        }
    }

    fn pair(&self, partition: u8) -> &[AtomicU32] {
        &self.revisions[usize::from(partition) * 2..][..2]
    }

    /// Waits until some partition is suspect; which ones are.
    pub(crate) async fn suspects(&self) -> Vec<Suspect> {
        loop {
            let suspects = self.list();
            if !suspects.is_empty() {
                return suspects;
            }
            self.rung.notified().await;
        }
    }

    /// The partitions that are suspect now, unless that cannot be settled yet.
    pub(crate) fn list(&self) -> Vec<Suspect> {
        let state = self.known.lock();
        if state.writes > 0 {
            return Vec::new();
        }
        let with_touches = state.partitions.iter().enumerate().map(|(partition, known)| Suspect {
            partition: partition as u8,
            touches: known.touches,
        });
        with_touches
            .filter(|suspect| is_suspect(self.revision(suspect.partition, false)))
            .collect()
    }

    /// What `GET M`, sent after the suspicion, said: `None` if there is no M, or no answer. Without an answer its copies are
    /// dead too: later ones were read later, and each read has M tracked again.
    pub(crate) fn settle(&self, suspect: Suspect, meta: Option<Meta>) {
        let mut state = self.known.lock();
        let known = &mut state.partitions[usize::from(suspect.partition)];
        if known.touches != suspect.touches {
            return;
        }
        let before = std::mem::replace(&mut known.meta, meta);
        let (mut same_incarnation, mut same_tags) = (false, false);
        if let (Some(before), Some(meta)) = (before, meta) {
            same_incarnation = before[..8] == meta[..8] || mutant::lives(Mutant::M47);
            same_tags = before == meta;
        }
        for (revision, lives_on) in self.pair(suspect.partition).iter().zip([same_incarnation, same_tags]) {
            let odd = revision.load(Ordering::Acquire);
            let even = if lives_on {
                odd.wrapping_sub(1)
            } else {
                odd.wrapping_add(1)
            };
            revision.store(even, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: u8 = 7;

    fn meta(incarnation: u8, tags: u8) -> Option<Meta> {
        let mut meta = [0; 16];
        (meta[0], meta[15]) = (incarnation, tags);
        Some(meta)
    }

    /// A partition whose M is known.
    fn known(meta: Option<Meta>) -> Partitions {
        let partitions = Partitions::new();
        partitions.suspect(P);
        settle(&partitions, meta);
        partitions
    }

    fn settle(partitions: &Partitions, meta: Option<Meta>) {
        for suspect in partitions.list() {
            partitions.settle(suspect, meta);
        }
    }

    /// Whether untagged and tagged copies from before live on.
    fn after(partitions: &Partitions, meta: Option<Meta>) -> (bool, bool) {
        let before = partitions.revisions(P);
        partitions.suspect(P);
        assert_ne!(partitions.revision(P, false), before.of(false), "suspect");
        assert_ne!(partitions.revision(P, true), before.of(true), "suspect");
        settle(partitions, meta);
        let lives = |tagged| partitions.revision(P, tagged) == before.of(tagged);
        (lives(false), lives(true))
    }

    #[test]
    fn what_a_change_does_not_concern_lives_on() {
        assert_eq!(after(&known(meta(1, 1)), meta(1, 1)), (true, true));
        assert_eq!(after(&known(meta(1, 1)), meta(1, 2)), (true, false));
        assert_eq!(after(&known(meta(1, 1)), meta(2, 1)), (false, false));
        assert_eq!(after(&known(meta(1, 1)), None), (false, false));
        assert_eq!(after(&known(None), meta(1, 1)), (false, false));
        assert_eq!(after(&known(None), None), (false, false));
    }

    #[test]
    fn a_killed_partition_stays_dead_whatever_its_meta_says() {
        for suspect in [false, true] {
            let partitions = known(meta(1, 1));
            let before = partitions.revisions(P);
            if suspect {
                partitions.suspect(P);
            }
            partitions.kill(P);
            settle(&partitions, meta(1, 1));
            assert_ne!(partitions.revision(P, false), before.of(false));
            assert_ne!(partitions.revision(P, true), before.of(true));
            assert!(!is_suspect(partitions.revision(P, false)));
        }
    }

    #[test]
    fn an_answer_to_an_earlier_question_settles_nothing() {
        let partitions = known(meta(1, 1));
        partitions.suspect(P);
        let early = partitions.list();
        partitions.suspect(P);
        partitions.settle(early[0], meta(1, 1));
        assert!(is_suspect(partitions.revision(P, false)));
        settle(&partitions, meta(1, 2));
        assert!(!is_suspect(partitions.revision(P, true)));
        assert!(partitions.list().is_empty());
    }

    #[test]
    fn nothing_is_settled_while_an_own_write_is_under_way() {
        let partitions = known(meta(1, 1));
        let before = partitions.revisions(P);
        partitions.suspect(P);
        let early = partitions.list();
        let (one, other) = (partitions.writing(), partitions.writing());
        partitions.settle(early[0], meta(1, 1));
        assert!(is_suspect(partitions.revision(P, false)), "asked before the write");
        assert!(partitions.list().is_empty());
        drop(one);
        assert!(partitions.list().is_empty(), "the other may still change it");
        drop(other);
        settle(&partitions, meta(2, 1));
        assert!(!is_suspect(partitions.revision(P, false)));
        assert_ne!(partitions.revision(P, false), before.of(false));
    }

    #[test]
    fn tagged_copies_are_in_doubt_after_a_tag_and_untagged_ones_while_suspect() {
        let partitions = known(meta(1, 1));
        let before = partitions.revisions(P);
        let doubts = |tagged| partitions.doubts(P, tagged, before.of(tagged));
        assert!(!doubts(true) && !doubts(false));
        partitions.suspect(P);
        assert!(doubts(true) && doubts(false));
        settle(&partitions, meta(1, 2));
        assert!(doubts(true) && !doubts(false));
    }
}
