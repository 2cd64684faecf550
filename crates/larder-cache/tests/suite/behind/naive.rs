//! Write-behind as it is written by hand: the value goes into the cache, the write into a queue, and a task takes writes out of
//! the queue and commits them. What Larder is compared with.
//!
//! | | is | and loses |
//! |---|---|---|
//! | `Popped` | a list in the store, `LPUSH` and `LPOP` | what was taken and not committed: the flusher dies, or the source fails |
//! | `InMemory` | a queue in the process | all of it with the process |

use std::{collections::VecDeque, sync::Arc};

use larder_cache::{Change, Sink, Source, Version};
use larder_store::Store;
use parking_lot::Mutex;
use redis::AsyncCommands as _;

/// Writes per commit.
const BATCH: usize = 20;

/// Number, key, value.
type Write = (u64, u64, u64);

/// Where the queue is.
#[derive(Clone, Debug)]
pub(crate) enum Queue {
    Popped,
    InMemory(Arc<Mutex<VecDeque<Write>>>),
}

impl Queue {
    pub(crate) fn in_memory() -> Self {
        Self::InMemory(Arc::default())
    }
}

/// One process with such a queue. Its writes are counted, so that the source's guard has what it needs.
#[derive(Clone, Debug)]
pub(crate) struct NaiveBehind<S> {
    store: Store,
    source: S,
    queue: Queue,
}

impl<S: Source<u64, u64> + Sink<u64, u64>> NaiveBehind<S> {
    pub(crate) const fn new(store: Store, source: S, queue: Queue) -> Self {
        Self { store, source, queue }
    }

    /// `SET` and queue; whether it was accepted.
    pub(crate) async fn put(&self, key: u64, value: u64) -> bool {
        let mut store = self.store.clone();
        if store.set::<_, _, ()>(entry(key), value).await.is_err() {
            return false;
        }
        match &self.queue {
            Queue::Popped => {
                let Ok(seq) = store.incr::<_, _, u64>("seq", 1).await else {
                    return false;
                };
                store
                    .rpush::<_, _, ()>("queue", format!("{seq} {key} {value}"))
                    .await
                    .is_ok()
            }
            Queue::InMemory(queue) => {
                let mut queue = queue.lock();
                let seq = queue.back().map_or(1, |(last, ..)| last + 1);
                queue.push_back((seq, key, value));
                true
            }
        }
    }

    /// `GET`, else the row, which is then cached.
    pub(crate) async fn read(&self, key: u64) -> Option<u64> {
        self.read_beside(key, async {}).await
    }

    /// The same, with something that happens between the load and the `SET`.
    pub(crate) async fn read_beside(&self, key: u64, beside: impl Future<Output = ()>) -> Option<u64> {
        let mut store = self.store.clone();
        if let Ok(Some(value)) = store.get::<_, Option<u64>>(entry(key)).await {
            return Some(value);
        }
        let value = self.source.load(&key).await.ok()??;
        beside.await;
        let _stored = store.set::<_, _, ()>(entry(key), value).await;
        Some(value)
    }

    /// Takes a batch and commits it; how many there were, whatever came of it.
    pub(crate) async fn flush_once(&self) -> usize {
        let mut store = self.store.clone();
        let batch: Vec<Write> = match &self.queue {
            Queue::Popped => {
                let popped: Result<Vec<String>, _> = store.lpop("queue", std::num::NonZeroUsize::new(BATCH)).await;
                popped
                    .unwrap_or_default()
                    .iter()
                    .filter_map(|line| parse(line))
                    .collect()
            }
            Queue::InMemory(queue) => {
                let mut queue = queue.lock();
                let n = queue.len().min(BATCH);
                queue.drain(..n).collect()
            }
        };
        let taken = batch.len();
        let last: std::collections::BTreeMap<u64, (u64, u64)> =
            batch.into_iter().map(|(seq, key, value)| (key, (seq, value))).collect();
        let changes: Vec<Change<u64, u64>> = last
            .into_iter()
            .map(|(key, (seq, value))| Change {
                key,
                version: Version { epoch: 0, seq },
                value: Some(value),
            })
            .collect();
        // "Could not be saved", says the log line.
        let _logged = self.source.apply("naive", &changes).await;
        taken
    }

    /// Until the queue is empty.
    pub(crate) async fn flush_all(&self) {
        while self.flush_once().await > 0 {}
    }
}

fn parse(line: &str) -> Option<Write> {
    let mut numbers = line.split(' ').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

/// What the cached value stands under.
fn entry(key: u64) -> String {
    format!("naive:{key}")
}
