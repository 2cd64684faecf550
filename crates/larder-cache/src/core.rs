//! What all handles of one namespace in one process share, and how it talks to the store.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use larder_base::{CacheKey, Clock, KeyLabel, Random, Tasks, codec::Schema};
use larder_store::{Generation, Listening, Store, StoreError};
use parking_lot::Mutex;

use crate::{
    Error, ErrorKind,
    behind::{Behind, DirtyPlace},
    channel::{Announcements, Listener},
    coherence::NearTier,
    estimate::ServerClock,
    events::Teller,
    flight::Flights,
    found::Outcome,
    kept::Keeper,
    layout::{Address, Layout},
    loading::Slots,
    log::Agreement,
    mutant::{self, Mutant},
    pace::Pace,
    pending::Pending,
    ring::Ring,
    script::{EntryKeys, Heal, Step},
    settings::{OnStoreDown, Settings},
    sink::SharedSink,
    source::SharedSource,
    stats::{Count, Counters},
};

/// The one core of a namespace on a store in this process.
pub(crate) struct Core<K: CacheKey, V> {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) layout: Arc<Layout>,
    pub(crate) settings: Settings<V>,
    pub(crate) schema: Schema,
    pub(crate) source: Option<SharedSource<K, V>>,
    pub(crate) sink: Option<SharedSink<K, V>>,
    /// What waits to be flushed, where writes go behind.
    pub(crate) behind: Option<Arc<Behind>>,
    pub(crate) near: Arc<NearTier<K, V>>,
    /// Reads that load what is missing.
    pub(crate) loads: Arc<Flights<K, Outcome<V>>>,
    /// Reads that do not.
    pub(crate) peeks: Arc<Flights<K, Outcome<V>>>,
    pub(crate) counters: Counters,
    pub(crate) server: Arc<ServerClock>,
    pub(crate) load_slots: Arc<Slots>,
    pub(crate) bypass_slots: Slots,
    /// Loads of one key, spaced by `min_refill_interval`.
    pub(crate) refills: Pace<K>,
    /// Failed loads of keys that were marked stale, spaced by `retry_after`.
    pub(crate) retries: Pace<K>,
    pub(crate) fast: FastPath,
    pub(crate) pending: Arc<Pending>,
    /// Writes down what becomes pending, where that is asked for.
    pub(crate) keeper: Option<Arc<Keeper>>,
    pub(crate) ring: Ring,
    pub(crate) events: Arc<Teller>,
    pub(crate) announcements: Arc<Announcements>,
    pub(crate) listener: Listener,
    /// Which run of which server the recovery task has seen last.
    pub(crate) known_generation: Mutex<Option<Generation>>,
    pub(crate) agreement: Agreement,
    pub(crate) tasks: Tasks,
    /// Ends when the core does.
    pub(crate) _listening: Option<Listening>,
}

/// A key with its place in the store: computed once per call.
pub(crate) struct Place {
    pub(crate) address: Address,
    pub(crate) keys: EntryKeys,
    /// Where it may wait to be flushed.
    pub(crate) dirty: Option<DirtyPlace>,
}

impl Place {
    /// The key as the checksum of its value covers it.
    pub(crate) fn sealed_key(&self) -> &str {
        if mutant::lives(Mutant::M24) {
            return "";
        }
        self.address.full()
    }
}

impl<K: CacheKey, V: Send + Sync + 'static> Core<K, V> {
    pub(crate) fn place(&self, key: &K) -> Place {
        let address = self.layout.address(key);
        let keys = EntryKeys::of(&self.layout, &address);
        let dirty = self
            .behind
            .as_ref()
            .map(|behind| DirtyPlace::of(&behind.keys, &address));
        Place { address, keys, dirty }
    }

    pub(crate) fn label(&self, place: &Place) -> KeyLabel {
        self.layout.label(&place.address.written)
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// The clock of the hit path: the kernel's (R9), for one that this process advances stands still when the process does.
    #[inline]
    pub(crate) fn coarse(&self) -> Duration {
        mutant::coarse(&self.clock)
    }

    pub(crate) fn count(&self, what: Count) {
        self.counters.add(what);
    }

    /// Counts an answer of the near tier.
    #[inline]
    pub(crate) fn count_near(&self, is_value: bool) {
        self.counters.own().add_near(is_value);
    }

    /// Runs a step once and learns the server's clock from its reply.
    pub(crate) async fn ask<S: Step>(&self, step: &S) -> Result<S::Reply, Error> {
        let sent = self.now();
        let call = step.call();
        let operation = call.script().name();
        let value = self
            .store
            .call(&call)
            .await
            .map_err(|source| self.store_error(operation, source))?;
        self.parse::<S>(operation, value, sent)
    }

    /// Reads the reply to a step that was sent at `sent`.
    pub(crate) fn parse<S: Step>(
        &self,
        operation: &'static str,
        value: redis::Value,
        sent: Duration,
    ) -> Result<S::Reply, Error> {
        let reply = S::parse(value).map_err(|bad| {
            Error::from(ErrorKind::Reply {
                operation,
                source: Arc::new(bad),
            })
        })?;
        if let Some(now) = S::now(&reply) {
            self.server.observe(sent, self.now(), now);
        }
        Ok(reply)
    }

    pub(crate) fn store_error(&self, operation: &'static str, source: StoreError) -> Error {
        self.count(Count::StoreErrors);
        Error::from(ErrorKind::Store {
            operation,
            source: Arc::new(source),
        })
    }

    /// Runs a step on an entry; if one of its keys has a wrong type, drops that key and runs the step once more.
    pub(crate) async fn ask_healing<S: Step>(&self, step: &S, keys: &EntryKeys) -> Result<S::Reply, Error> {
        match self.ask(step).await {
            Err(error) if is_wrong_type(&error) => {
                self.heal(keys).await?;
                self.ask(step).await
            }
            reply => reply,
        }
    }

    /// Drops what somebody else wrote over this entry's keys.
    pub(crate) async fn heal(&self, keys: &EntryKeys) -> Result<(), Error> {
        const TYPES: [&str; 4] = ["string", "string", "hash", "hash"];
        let keys = keys.all().iter().cloned().zip(TYPES).collect();
        let dropped = self.ask(&Heal { keys }).await?;
        self.counters.add_many(Count::Healed, dropped.unsigned_abs());
        Ok(())
    }

    /// The limit of loads at a time right after an outage: what the source bore meanwhile, or a quarter of what it bears.
    pub(crate) fn first_loads(settings: &Settings<V>) -> usize {
        match settings.on_store_down {
            OnStoreDown::Bypass { max_concurrency } => max_concurrency,
            OnStoreDown::ServeNear { .. } | OnStoreDown::Fail => (settings.max_loads / 4).max(1),
        }
    }

    /// The limit of loads at a time past the store: while it is down, or of keys in quarantine.
    pub(crate) const fn bypass_limit(settings: &Settings<V>) -> usize {
        match settings.on_store_down {
            OnStoreDown::Bypass { max_concurrency } => max_concurrency,
            OnStoreDown::ServeNear { .. } | OnStoreDown::Fail => settings.max_loads,
        }
    }
}

pub(crate) fn is_wrong_type(error: &Error) -> bool {
    error.store_error().is_some_and(StoreError::is_wrong_type)
}

pub(crate) fn is_out_of_memory(error: &Error) -> bool {
    error.store_error().is_some_and(StoreError::is_out_of_memory)
}

pub(crate) fn is_unknown_outcome(error: &Error) -> bool {
    error.store_error().is_some_and(StoreError::is_unknown_outcome)
}

/// Whether reads begin with the fast path, or with `get` at once.
///
/// The fast path answers a hit at a twentieth of the server's time, but where it cannot tell it costs a round trip: on a
/// miss, and on a tagged value while tags of its partition are invalidated. It pays where most reads hit, so the share of
/// its successes decides, a moving mean over about eight reads. While `get` comes first, its hits count as successes that
/// the fast path would have had; those on tagged values may not have been, so they only bring the next attempt closer.
pub(crate) struct FastPath(AtomicU32);

/// The moving mean of a success, in fixed point.
const SURE: u32 = 1 << 16;

/// What there is to learn from a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lesson {
    /// The fast path answered, or would have.
    Fast,
    /// The fast path could not tell, or would not have.
    Slow,
    /// It might have answered: one attempt in some fifty such reads finds out.
    Perhaps,
}

impl FastPath {
    /// A cold cache misses first.
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    pub(crate) fn is_worth_it(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= SURE / 2
    }

    pub(crate) fn note(&self, lesson: Lesson) {
        // Relaxed, and a lost update does no harm: it is a guess.
        let mean = self.0.load(Ordering::Relaxed);
        let next = match lesson {
            Lesson::Fast => mean - mean / 8 + SURE / 8,
            Lesson::Slow => mean - mean / 8,
            Lesson::Perhaps => mean - mean / 512 + SURE / 512,
        };
        if next != mean {
            self.0.store(next, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of so many reads, each worth this lesson when `get` comes first, how many tried the fast path, which could not tell.
    fn attempts(fast: &FastPath, reads: u32, lesson: Lesson) -> u32 {
        let read = |_| {
            let tries = fast.is_worth_it();
            fast.note(if tries { Lesson::Slow } else { lesson });
            u32::from(tries)
        };
        (0..reads).map(read).sum()
    }

    #[test]
    fn the_fast_path_comes_first_after_a_few_hits_and_no_more_after_a_few_misses() {
        let fast = FastPath::new();
        assert!(!fast.is_worth_it(), "a cold cache misses first");
        assert_eq!(attempts(&fast, 6, Lesson::Fast), 0);
        assert!(fast.is_worth_it());
        assert!((1..8).contains(&attempts(&fast, 100, Lesson::Slow)));
        assert!(!fast.is_worth_it());
    }

    #[test]
    fn where_tags_move_the_fast_path_is_tried_now_and_then() {
        let fast = FastPath::new();
        (0..100).for_each(|_| fast.note(Lesson::Fast));
        let tried = attempts(&fast, 10_000, Lesson::Perhaps);
        assert!((50..400).contains(&tried), "{tried}");
        // When they rest, an attempt succeeds and the fast path is back for good.
        while !fast.is_worth_it() {
            fast.note(Lesson::Perhaps);
        }
        (0..10).for_each(|_| fast.note(Lesson::Fast));
        assert_eq!(attempts(&fast, 3, Lesson::Slow), 3, "one failure does not end it");
    }
}
