//! Invalidations that the store has not acknowledged, and what this process reads meanwhile (protocol 0.7 and 1.8).
//!
//! What is pending is quarantined: a read of such a key takes nothing from the near tier and nothing from the store, but
//! goes to the source, and stores nothing; without a loader it is a miss. For a tag, a pattern or a clear that is every
//! key of the namespace, because what carries the tag is not known here. The core's recovery task sends it all again
//! until the store has acknowledged it; only then the quarantine is lifted.
//!
//! Where nothing is pending, all of this costs a read of the store one load of an atomic, and a near hit nothing: what
//! becomes pending has been dropped from the near tier before.

use std::{
    collections::HashMap,
    mem,
    sync::atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::owed::{Deed, Owed};

/// Keys that wait at most. More than this means an outage with many writes: then one `clear`, a round trip of 64 small
/// scripts, is cheaper than sending them all, and bounds the memory to some megabytes.
const ENTRIES_MAX: usize = 10_000;

/// Holds of one key whose ends wait at most. Further ones push out the oldest, whose hold then ends by itself, and whose
/// value the others drop as well.
const ENDS_MAX: usize = 16;

/// Tags that wait at most: each costs as much as the `clear` that takes their place.
const WIDE_MAX: usize = 256;

/// The set of what is pending in one cache.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// How many there are: all that a read looks at where there are none.
    len: AtomicUsize,
    set: Mutex<Set>,
    /// Rung when something is added.
    added: Notify,
    /// Rung when nothing is left.
    emptied: Notify,
}

/// When something became pending, in order: what is added while an older copy of it is on its way stays.
pub(crate) type Version = u64;

#[derive(Debug, Default)]
struct Set {
    entries: HashMap<Bytes, Due, ahash::RandomState>,
    /// Tags, and the whole namespace: they concern keys that are not known here.
    wide: HashMap<Owed, Version, ahash::RandomState>,
    version: Version,
}

/// What is to happen to one entry: the strongest deed, or the ends of several holds, none of which is that of another.
#[derive(Debug, Default)]
struct Due {
    deeds: Vec<Deed>,
    version: Version,
}

impl Due {
    fn add(&mut self, deed: Deed, version: Version) {
        self.version = version;
        if matches!(deed, Deed::End(_)) {
            self.deeds
                .retain(|other| matches!(other, Deed::End(_)) && *other != deed);
            if self.deeds.len() == ENDS_MAX {
                self.deeds.remove(0);
            }
            self.deeds.push(deed);
        } else if self.deeds.iter().all(|weaker| *weaker < deed) {
            self.deeds = vec![deed];
        }
    }

    /// Takes out what was done; whether that was all.
    fn is_done_with(&mut self, deed: Deed) -> bool {
        self.deeds.retain(|other| *other != deed);
        self.deeds.is_empty()
    }
}

impl Pending {
    /// Whether reads of the entry `e` must do without what is cached.
    #[inline]
    pub(crate) fn quarantines(&self, e: &[u8]) -> bool {
        // Acquire: pairs with the release in `publish`, so that who was told of a failure sees the quarantine.
        self.len.load(Ordering::Acquire) > 0 && self.set.lock().quarantines(e)
    }

    /// Whether anything is pending.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many invalidations are pending.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Adds what was not acknowledged, and wakes whoever sends it again. The caller then drops what is cached of it in this
    /// process: of every key, if this says `true`.
    pub(crate) fn add(&self, owed: impl IntoIterator<Item = Owed>) -> bool {
        let mut set = self.set.lock();
        set.version += 1;
        for one in owed {
            set.add(one);
        }
        self.publish(&set);
        let wide = !set.wide.is_empty();
        drop(set);
        self.added.notify_one();
        wide
    }

    /// Everything that is pending, sorted by kind, and the version until which that is so.
    pub(crate) fn snapshot(&self) -> (Vec<Owed>, Version) {
        let set = self.set.lock();
        let entries = set.entries.iter().flat_map(|(e, due)| {
            let deeds = due.deeds.iter();
            deeds.map(|deed| Owed::Entry(e.clone(), *deed))
        });
        let mut owed: Vec<Owed> = entries.chain(set.wide.keys().cloned()).collect();
        owed.sort_by_key(|one| match one {
            Owed::Entry(..) => 0,
            Owed::Tag(_) => 1,
            Owed::All => 2,
        });
        (owed, set.version)
    }

    /// The version now: what becomes pending from here on is newer.
    pub(crate) fn version(&self) -> Version {
        if self.is_empty() { 0 } else { self.set.lock().version }
    }

    /// Ends the quarantine of what the store has acknowledged, unless it became pending again since `version`.
    pub(crate) fn lift<'a>(&self, acknowledged: impl IntoIterator<Item = &'a Owed>, version: Version) {
        let mut set = self.set.lock();
        for one in acknowledged {
            set.lift(one, version);
        }
        self.publish(&set);
    }

    /// The entry `e` was overwritten in the store by a request that left at `version`: what was pending of it before that
    /// is done.
    pub(crate) fn overwritten(&self, e: &Bytes, version: Version) {
        if !self.is_empty() {
            let mut set = self.set.lock();
            if set.entries.get(e).is_some_and(|due| due.version <= version) {
                set.entries.remove(e);
            }
            self.publish(&set);
        }
    }

    /// Waits until something is added.
    pub(crate) async fn added(&self) {
        self.added.notified().await;
    }

    /// Waits until nothing is pending.
    pub(crate) async fn emptied(&self) {
        let mut emptied = std::pin::pin!(self.emptied.notified());
        emptied.as_mut().enable();
        if !self.is_empty() {
            emptied.await;
        }
    }

    fn publish(&self, set: &Set) {
        let len = set.entries.len() + set.wide.len();
        self.len.store(len, Ordering::Release);
        if len == 0 {
            self.emptied.notify_waiters();
        }
    }
}

impl Set {
    fn quarantines(&self, e: &[u8]) -> bool {
        !self.wide.is_empty() || self.entries.contains_key(e)
    }

    fn add(&mut self, owed: Owed) {
        let version = self.version;
        if let Some(all) = self.wide.get_mut(&Owed::All) {
            // Also what comes while the clear is on its way: that one may have happened before.
            *all = version;
            return;
        }
        match owed {
            Owed::Entry(e, deed) => self.entries.entry(e).or_default().add(deed, version),
            Owed::Tag(_) => _ = self.wide.insert(owed, version),
            Owed::All => self.become_all(),
        }
        if self.entries.len() > ENTRIES_MAX || self.wide.len() > WIDE_MAX {
            tracing::warn!("too many invalidations are pending: the whole namespace will be cleared instead");
            self.become_all();
        }
    }

    fn become_all(&mut self) {
        // The memory goes too: what was large once need not be so again.
        drop(mem::take(&mut self.entries));
        self.wide.clear();
        self.wide.insert(Owed::All, self.version);
    }

    fn lift(&mut self, owed: &Owed, until: Version) {
        match owed {
            Owed::Entry(e, deed) => {
                let due = self.entries.get_mut(e).filter(|due| due.version <= until);
                if due.is_some_and(|due| due.is_done_with(*deed)) {
                    self.entries.remove(e);
                }
            }
            wide => {
                if self.wide.get(wide).is_some_and(|version| *version <= until) {
                    self.wide.remove(wide);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str) -> Owed {
        Owed::drop_of(Bytes::copy_from_slice(name.as_bytes()))
    }

    #[test]
    fn a_key_is_quarantined_from_its_adding_to_its_lifting() {
        let pending = Pending::default();
        assert!(!pending.quarantines(b"a"));
        pending.add([entry("a"), entry("a")]);
        assert!(pending.quarantines(b"a") && !pending.quarantines(b"b"));
        assert_eq!(pending.len(), 1, "one key counts once");
        let (owed, version) = pending.snapshot();
        pending.lift(&owed, version);
        assert!(!pending.quarantines(b"a") && pending.is_empty());
    }

    #[test]
    fn what_becomes_pending_again_while_it_is_sent_stays() {
        let pending = Pending::default();
        pending.add([entry("a"), Owed::All]);
        let (owed, version) = pending.snapshot();
        pending.add([entry("b")]);
        pending.lift(&owed, version);
        assert!(
            pending.quarantines(b"b"),
            "a clear that was under way may have come before"
        );

        let pending = Pending::default();
        pending.add([entry("a"), entry("b")]);
        let (owed, version) = pending.snapshot();
        pending.add([entry("a")]);
        pending.lift(&owed, version);
        assert!(pending.quarantines(b"a") && !pending.quarantines(b"b"));
    }

    #[test]
    fn a_tag_quarantines_every_key() {
        let pending = Pending::default();
        pending.add([Owed::Tag("t".into())]);
        assert!(pending.quarantines(b"whatever"));
    }

    #[test]
    fn the_strongest_deed_of_a_key_is_kept() {
        let pending = Pending::default();
        let e = Bytes::from_static(b"a");
        for deed in [Deed::Drop, Deed::End([1; 16]), Deed::Age] {
            pending.add([Owed::Entry(e.clone(), deed)]);
        }
        assert_eq!(pending.snapshot().0, [Owed::Entry(e, Deed::End([1; 16]))]);
    }

    #[test]
    fn each_hold_of_a_key_has_an_end_of_its_own() {
        let (pending, e) = (Pending::default(), Bytes::from_static(b"a"));
        let end = |n: u8| Owed::Entry(e.clone(), Deed::End([n; 16]));
        pending.add([end(1), end(2), end(1), entry("a")]);
        let (owed, version) = pending.snapshot();
        assert_eq!((owed.as_slice(), pending.len()), (&[end(2), end(1)][..], 1));
        pending.lift([&end(1)], version);
        assert!(pending.quarantines(b"a"), "the other is not acknowledged");
        assert_eq!(pending.snapshot().0, [end(2)]);
        pending.lift([&end(2)], version);
        assert!(pending.is_empty());

        pending.add((0..=ENDS_MAX as u8).map(end));
        let owed = pending.snapshot().0;
        assert_eq!((owed.len(), &owed[0]), (ENDS_MAX, &end(1)), "the oldest ends by itself");
    }

    #[test]
    fn too_many_become_one_clear() {
        for many in [
            (0..=ENTRIES_MAX).map(|n| entry(&n.to_string())).collect::<Vec<_>>(),
            (0..=WIDE_MAX).map(|n| Owed::Tag(n.to_string().into())).collect(),
        ] {
            let pending = Pending::default();
            pending.add(many);
            assert_eq!(pending.snapshot().0, [Owed::All]);
            assert!(pending.quarantines(b"another"));
        }
    }

    #[test]
    fn an_overwritten_entry_is_done_unless_it_was_invalidated_since() {
        let (pending, e) = (Pending::default(), Bytes::from_static(b"a"));
        pending.add([entry("a")]);
        let before = pending.version();
        pending.add([entry("a")]);
        pending.overwritten(&e, before);
        assert!(pending.quarantines(b"a"));
        pending.overwritten(&e, pending.version());
        assert!(pending.is_empty());
    }
}
