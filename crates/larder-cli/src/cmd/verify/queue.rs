//! Writing behind as it is written by hand: the value into the cache, the write into a list in the store, and a task in each
//! process that pops writes from the list and commits them.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use larder_base::Clock;
use larder_store::Store;
use larder_testkit::verify::{ByHand, Invalidated, Rows, Seen, Subject, Written};
use parking_lot::Mutex;
use redis::AsyncCommands as _;

use super::{ledger::Ledger, seat::Seat};

/// One process with such a list.
pub(super) struct Queue {
    seat: Arc<Seat>,
    make: MakeCache,
    by_hand: Mutex<ByHand>,
    flusher: Flusher,
    turns: Arc<Turns>,
}

/// Makes the cache that reads, over a store: a process that takes another's place needs it again.
pub(super) type MakeCache = Box<dyn Fn(&Store) -> ByHand + Send + Sync>;

/// The writes of each key are one after the other, so that their order is known: what goes wrong is not theirs.
pub(super) struct Turns(Vec<tokio::sync::Mutex<u64>>);

impl Turns {
    pub(super) fn new(keys: u64) -> Arc<Self> {
        Arc::new(Self((0..keys).map(|_| tokio::sync::Mutex::default()).collect()))
    }
}

/// Writes per commit.
const BATCH: NonZeroUsize = NonZeroUsize::new(20).expect("not 0");

/// How often an empty list is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// How long the rest may take at the end.
const FINISH_MAX: Duration = Duration::from_secs(10);

impl Queue {
    pub(super) fn new(seat: &Arc<Seat>, make: MakeCache, ledger: &Ledger, turns: &Arc<Turns>, namespace: &str) -> Self {
        let store = seat.store();
        let queue = Self {
            seat: seat.clone(),
            by_hand: Mutex::new(make(&store)),
            make,
            flusher: Flusher {
                name: format!("{namespace}:queue").into(),
                ledger: ledger.clone(),
                is_busy: Arc::default(),
                clock: store.clock().clone(),
            },
            turns: turns.clone(),
        };
        seat.spawn("naive flusher", queue.flusher.clone().run(store));
        queue
    }

    fn by_hand(&self) -> ByHand {
        self.by_hand.lock().clone()
    }

    /// `SET`, then `RPUSH`; whether both were acknowledged.
    async fn put(&self, key: u64, value: u64) -> bool {
        let queued = async {
            let write = format!("{key} {value}");
            let pushed = self.seat.store().rpush::<_, _, ()>(&*self.flusher.name, write).await;
            pushed.is_ok()
        };
        self.by_hand().store(key, value).await && queued.await
    }
}

#[derive(Clone)]
struct Flusher {
    name: Arc<str>,
    ledger: Ledger,
    /// It has popped what it has not committed.
    is_busy: Arc<AtomicBool>,
    clock: Clock,
}

impl Flusher {
    async fn run(self, store: Store) {
        let ledger = self
            .ledger
            .again()
            .await
            .expect("a database of one's own can be opened");
        loop {
            self.is_busy.store(true, Ordering::Release);
            let popped: Result<Vec<String>, _> = store.clone().lpop(&*self.name, Some(BATCH)).await;
            let writes: Vec<(u64, u64)> = popped
                .unwrap_or_default()
                .iter()
                .filter_map(|line| parse(line))
                .collect();
            if !writes.is_empty()
                && let Err(error) = ledger.overwrite(&writes).await
            {
                tracing::debug!(%error, "could not be saved, says the log line");
            }
            self.is_busy.store(false, Ordering::Release);
            if writes.is_empty() {
                self.clock.sleep(LOOK_EVERY).await;
            }
        }
    }

    async fn is_done(&self, mut store: Store) -> bool {
        let left = store.llen::<_, u64>(&*self.name).await;
        left.is_ok_and(|left| left == 0) && !self.is_busy.load(Ordering::Acquire)
    }
}

fn parse(line: &str) -> Option<(u64, u64)> {
    let (key, value) = line.split_once(' ')?;
    Some((key.parse().ok()?, value.parse().ok()?))
}

impl Subject for Queue {
    async fn read(&self, process: u32, key: u64, rows: &Arc<Rows>) -> Option<Seen> {
        let (rows, ledger) = (rows.clone(), self.flusher.ledger.clone());
        let asked = rows.recorder().now();
        let load = async move {
            let loaded = rows
                .load_from(process, key, asked, async || ledger.value(key).await)
                .await;
            loaded.expect("a database of one's own can be read")
        };
        self.by_hand().read_from(key, Box::pin(load)).await
    }

    async fn invalidate(&self, key: u64, choice: u64) -> Invalidated {
        self.by_hand().invalidate(key, choice).await
    }

    async fn write(&self, key: u64, _: u64, rows: &Arc<Rows>) -> Written {
        let mut version = self.turns.0[key as usize].lock().await;
        *version += 1;
        let value = rows.draw();
        rows.place(value, *version);
        let began = rows.recorder().now();
        Written {
            version: value,
            committed: began,
            invalidated: Invalidated {
                acknowledged: self.put(key, value).await,
                everything: false,
            },
            held_since: None,
        }
    }

    async fn finish(&self, rows: &Arc<Rows>) {
        let emptied = async {
            while !self.flusher.is_done(self.seat.store()).await {
                self.flusher.clock.sleep(LOOK_EVERY).await;
            }
        };
        // What is left then is lost, and shows.
        let _ = self.flusher.clock.timeout(FINISH_MAX, emptied).await;
        self.flusher.ledger.tell(rows).await;
    }

    async fn crash(&self) {
        self.seat.crash().await;
        let store = self.seat.store();
        *self.by_hand.lock() = (self.make)(&store);
        self.seat.spawn("naive flusher", self.flusher.clone().run(store));
    }

    async fn cached(&self, key: u64) -> Vec<(&'static str, u64)> {
        self.by_hand().cached(key).await
    }
}
