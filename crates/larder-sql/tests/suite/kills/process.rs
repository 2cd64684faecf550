//! The processes that are killed: they write, or flush, or both, until then.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use larder_base::Clock;
use larder_cache::{Ack, Cache, Patch, Receipt, WriteBehind, WritePolicy};
use larder_sql::SqlTable;
use larder_store::Store;
use larder_testkit::{eventually, worker};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::{
    ledger::{Place, Row, Said, What},
    medium::{NAMESPACE, TABLE, config},
    naive::{Naive, Queue},
    slow::Slow,
};

/// The test that a process runs.
pub(super) const ENTRY: &str = "kills::process::killed_process";

/// Writers at a time in a process, each with keys of its own.
const LANES: i64 = 8;
/// Keys that a lane writes again and again; each second write is of a key that is never written again, so that nothing hides
/// its loss.
const HOT: i64 = 5;

/// How it is written behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum How {
    Larder,
    Popped,
    InMemory,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Role {
    Writes,
    Flushes,
    Both,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) how: How,
    pub(super) role: Role,
    pub(super) store: String,
    pub(super) database: String,
    /// The number of its first write.
    pub(super) from: i64,
}

#[test]
fn killed_process() {
    let Some(job) = worker::job::<Job>() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime can be built").block_on(job.run());
}

/// What one of those that are killed had taken is soon another's.
pub(super) const SHORT: Duration = Duration::from_millis(1_500);
/// Whoever finishes what is left gets the time that a commit takes on a machine that is busy with much else.
pub(super) const LONG: Duration = Duration::from_secs(60);

/// A cache over both ends.
pub(super) async fn open(store: &Store, table: Slow, flushes: bool, visibility: Duration) -> Cache<i64, Row> {
    let behind = WriteBehind::new(Ack::Fsync)
        .delay(Duration::from_millis(5))
        .batch(40)
        .visibility(visibility)
        .wait(Duration::from_secs(20))
        .flushes(flushes);
    let builder = Cache::builder(NAMESPACE)
        .store(store)
        .ttl(Duration::from_secs(600))
        .source(table);
    let opened = builder.write(WritePolicy::Behind(behind)).build().await;
    opened.expect("both ends are there")
}

/// A server that was killed may be reading its log.
pub(super) async fn store(url: &str) -> Store {
    let store = Store::lazy(url).expect("the URL is one");
    eventually(Duration::from_secs(60), async || store.ping().await.is_ok()).await;
    store
}

pub(super) async fn table(database: &str) -> Slow {
    let pool = config(database).open().await.expect("the database opens");
    Slow::new(SqlTable::new(pool, TABLE).counter("n").deadline(LONG))
}

impl Job {
    /// Until it is killed.
    async fn run(self) {
        let store = store(&self.store).await;
        let table = table(&self.database).await;
        if self.how == How::Larder {
            let cache = open(&store, table, self.role != Role::Writes, SHORT).await;
            worker::ready();
            return self
                .go_on(async |numbers| write_all(cache.clone(), numbers).await)
                .await;
        }
        let queue = match self.how {
            How::InMemory => Queue::InMemory(Arc::default()),
            _ => Queue::Popped(store),
        };
        let naive = Naive { queue, table };
        let _flushing =
            (self.role != Role::Writes || self.how == How::InMemory).then(|| tokio::spawn(flush(naive.clone())));
        worker::ready();
        self.go_on(async |numbers| put_all(naive.clone(), numbers).await).await;
    }

    async fn go_on(&self, write: impl AsyncFn(Arc<AtomicI64>)) {
        match self.role {
            Role::Flushes => std::future::pending().await,
            Role::Writes | Role::Both => write(Arc::new(AtomicI64::new(self.from))).await,
        }
    }
}

async fn flush(naive: Naive) {
    loop {
        if naive.flush_once().await == 0 {
            Clock::system().sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Which key the write `op` of `lane` is of, and what it does.
fn plan(lane: i64, op: i64) -> (i64, What) {
    if op % 2 == 0 {
        return (op, What::Put);
    }
    if op / 2 % 11 == 10 {
        // Counters have the keys below 0.
        return (-1 - lane, What::Count(1 + op % 7));
    }
    let hot = lane * HOT + op / 2 % HOT;
    let what = match op / 2 % 11 {
        0..=4 => What::Put,
        5..=8 => What::Update,
        _ => What::Remove,
    };
    (hot, what)
}

/// Writes until the process is killed.
async fn write_all(cache: Cache<i64, Row>, numbers: Arc<AtomicI64>) {
    in_lanes(move |lane| {
        let (cache, numbers) = (cache.clone(), numbers.clone());
        async move {
            loop {
                let op = numbers.fetch_add(1, Ordering::Relaxed);
                let (key, what) = plan(lane, op);
                worker::report(&Said::Begun { key, op, what });
                if let Some(said) = write(&cache, key, op, what).await {
                    worker::report(&said);
                }
            }
        }
    })
    .await;
}

/// What to say of one write; nothing if nobody knows what became of it.
pub(super) async fn write(cache: &Cache<i64, Row>, key: i64, op: i64, what: What) -> Option<Said> {
    if let What::Count(step) = what {
        return cache
            .incr(&key, step)
            .await
            .ok()
            .map(|_value| Said::Counted { key, op });
    }
    let (receipt, row) = match what {
        What::Put => (cache.put(&key, Row::put(op)).await.ok()?, Some(Row::put(op))),
        What::Remove => (cache.remove(&key).await.ok()?, None),
        What::Update => {
            let patch = Patch::default().set("op", op).and_then(|patch| patch.set("a", op));
            let written = cache.update(&key, patch.expect("numbers serialise")).await.ok()?;
            (written.receipt, written.value.map(|row| *row))
        }
        What::Count(_) => unreachable!("it was counted"),
    };
    Some(match version(&receipt) {
        Some(version) => Said::Accepted { key, op, version, row },
        None => Said::Void { key, op },
    })
}

fn version(receipt: &Receipt) -> Option<Place> {
    let version = receipt.tickets().first()?.version;
    Some((version.epoch, version.seq))
}

/// The same by hand: puts alone.
async fn put_all(naive: Naive, numbers: Arc<AtomicI64>) {
    in_lanes(move |lane| {
        let (naive, numbers) = (naive.clone(), numbers.clone());
        async move {
            loop {
                let op = numbers.fetch_add(1, Ordering::Relaxed);
                let (key, _) = plan(lane, op);
                if naive.put(key, op).await {
                    let (version, row) = ((0, op.unsigned_abs()), Some(Row::put(op)));
                    worker::report(&Said::Accepted { key, op, version, row });
                }
            }
        }
    })
    .await;
}

async fn in_lanes<F: Future<Output = ()> + Send + 'static>(lane: impl Fn(i64) -> F) {
    let mut lanes: JoinSet<()> = (0..LANES).map(lane).collect();
    while let Some(ended) = lanes.join_next().await {
        ended.expect("no lane panics");
    }
}
