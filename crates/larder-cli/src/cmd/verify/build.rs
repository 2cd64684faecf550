//! What it takes to build Larder's caches, as often as a process begins.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use larder_cache::{Ack, Cache, CacheBuilder, Coherence, Consistency, Sink, SinkError, WriteBehind, WritePolicy};
use larder_store::Store;
use larder_testkit::{history::Moment, verify::Rows};
use parking_lot::Mutex;

use super::{Args, Promise, Write, ledger::Ledger, seat::Seat};
use crate::failure::{Failure, Outcome};

/// The settings of every cache of a run.
#[derive(Clone)]
pub(super) struct Build {
    pub(super) write: Write,
    pub(super) is_strict: bool,
    namespace: String,
    coherence: Coherence,
    max_staleness: Duration,
    /// Whether the store keeps a log that is synced before each answer.
    is_logged: bool,
    /// Where `put` goes, unless it is written behind.
    pub(super) commits: Commits,
    /// Where it goes if it is.
    pub(super) ledger: Option<Ledger>,
}

/// How long what is written behind waits for other writes of its key, and for its flusher before another takes it over:
/// short, so that much of a run is flushed and much of that twice.
const DELAY: Duration = Duration::from_millis(20);
const VISIBILITY: Duration = Duration::from_millis(500);

impl Build {
    pub(super) fn new(args: &Args, namespace: &str, ledger: Option<Ledger>) -> Self {
        Self {
            write: args.write,
            is_strict: args.consistency == Promise::Strict,
            namespace: namespace.to_owned(),
            coherence: match args.coherence {
                super::Coherence::Tracking => Coherence::Tracking,
                super::Coherence::Log => Coherence::Log,
            },
            max_staleness: args.max_staleness,
            is_logged: args.server.is_some(),
            commits: Commits::default(),
            ledger,
        }
    }

    /// The cache of who sits at `seat` now, with a near tier.
    pub(super) async fn on(&self, seat: &Seat) -> Outcome<Cache<u64, u64>> {
        let (mut build, store) = (self.clone(), seat.store());
        let work = async move {
            if let Some(ledger) = &mut build.ledger {
                *ledger = ledger.again().await?;
            }
            build.cache(&store, 1_000, true).await
        };
        let built = seat.run(work).await;
        built.unwrap_or_else(|| Err(Failure::new("a process ended while it began")))
    }

    /// A cache that looks below the others' near tiers, and flushes nothing.
    pub(super) async fn below(&self, store: &Store) -> Outcome<Cache<u64, u64>> {
        self.cache(store, 0, false).await
    }

    async fn cache(&self, store: &Store, near: usize, flushes: bool) -> Outcome<Cache<u64, u64>> {
        // Far above the longest commit here, which takes milliseconds.
        let hold = Duration::from_secs(10).max(self.max_staleness * 4);
        let consistency = if self.is_strict {
            Consistency::Strict
        } else {
            Consistency::Bounded
        };
        let builder = Cache::builder(&self.namespace)
            .store(store)
            .near(near)
            .max_staleness(self.max_staleness)
            .coherence(self.coherence)
            .consistency(consistency)
            .hold_for(hold)
            .ttl(Duration::from_secs(60))
            .tags(|version: &u64| [format!("odd:{}", version % 2), "all".to_owned()]);
        Ok(self.written(builder, flushes).build().await?)
    }

    fn written(&self, builder: CacheBuilder<u64, u64>, flushes: bool) -> CacheBuilder<u64, u64> {
        match self.write {
            Write::Invalidate => builder,
            Write::Around => builder.sink(self.commits.clone()).write(WritePolicy::Around),
            Write::Through => builder.sink(self.commits.clone()).write(WritePolicy::Through),
            Write::Behind => {
                let ledger = self.ledger.clone().expect("who writes behind has opened one");
                let ack = if self.is_logged { Ack::Fsync } else { Ack::Memory };
                let behind = WriteBehind::new(ack)
                    .delay(DELAY)
                    .visibility(VISIBILITY)
                    .flushes(flushes);
                builder.sink(ledger).write(WritePolicy::Behind(behind))
            }
        }
    }
}

/// The rows of a run as a sink: they come with its first write, after the caches.
#[derive(Clone, Default)]
pub(super) struct Commits(Arc<State>);

#[derive(Default)]
struct State {
    rows: OnceLock<Arc<Rows>>,
    /// When each value became visible, until its writer asks.
    visible: Mutex<HashMap<u64, Moment>>,
}

impl Commits {
    pub(super) fn are_of(&self, rows: &Arc<Rows>) {
        self.0.rows.get_or_init(|| rows.clone());
    }

    /// When `value` was committed; `None` if it was not.
    pub(super) fn take(&self, value: u64) -> Option<Moment> {
        self.0.visible.lock().remove(&value)
    }
}

impl Sink<u64, u64> for Commits {
    async fn put(&self, key: &u64, value: &u64) -> Result<(), SinkError> {
        let rows = self.0.rows.get().expect("whoever writes has said to which rows");
        let visible = rows.put(*key, *value).await;
        self.0.visible.lock().insert(*value, visible);
        Ok(())
    }

    async fn remove(&self, _: &u64) -> Result<bool, SinkError> {
        Err(SinkError::unsupported("removes nothing"))
    }
}
