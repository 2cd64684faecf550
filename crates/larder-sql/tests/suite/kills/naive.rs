//! Write-behind as it is written by hand: the write goes into a queue, and a task takes writes out of it and commits them.
//!
//! | | is | and loses |
//! |---|---|---|
//! | `Popped` | a list in the store, `RPUSH` and `LPOP` | what was taken and not committed: the flusher dies, or the database fails |
//! | `InMemory` | a queue in the process | all of it with the process |

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use larder_base::Clock;
use larder_cache::Sink as _;
use larder_store::{Store, redis};
use redis::{AsyncCommands as _, FromRedisValue as _};

use super::{ledger::Row, slow::Slow};

/// Writes per commit.
const BATCH: usize = 20;

/// Number and key.
type Write = (i64, i64);

/// Where the queue is.
#[derive(Clone, Debug)]
pub(super) enum Queue {
    Popped(Store),
    InMemory(Arc<Mutex<VecDeque<Write>>>),
}

#[derive(Clone, Debug)]
pub(super) struct Naive {
    pub(super) queue: Queue,
    pub(super) table: Slow,
}

impl Naive {
    /// Whether it was accepted.
    pub(super) async fn put(&self, key: i64, op: i64) -> bool {
        match &self.queue {
            Queue::Popped(store) => {
                let pushed = store.clone().rpush::<_, _, i64>("queue", format!("{op} {key}")).await;
                pushed.is_ok()
            }
            Queue::InMemory(queue) => {
                // As long as a store would take.
                Clock::system().sleep(Duration::from_millis(2)).await;
                queue.lock().expect("nobody panics with it").push_back((op, key));
                true
            }
        }
    }

    /// Takes a batch and commits it; how many there were, whatever came of it.
    pub(super) async fn flush_once(&self) -> usize {
        let batch = self.take().await;
        let last: BTreeMap<i64, i64> = batch.iter().map(|&(op, key)| (key, op)).collect();
        let rows: Vec<(i64, Row)> = last.into_iter().map(|(key, op)| (key, Row::put(op))).collect();
        // "Could not be saved", says the log line.
        let _logged = self.table.put_many(&rows).await;
        batch.len()
    }

    async fn take(&self) -> Vec<Write> {
        match &self.queue {
            Queue::Popped(store) => {
                let popped = store.run(redis::cmd("LPOP").arg("queue").arg(BATCH)).await;
                let lines = popped
                    .ok()
                    .and_then(|value| Vec::<String>::from_redis_value(value).ok());
                lines
                    .unwrap_or_default()
                    .iter()
                    .filter_map(|line| parse(line))
                    .collect()
            }
            Queue::InMemory(queue) => {
                let mut queue = queue.lock().expect("nobody panics with it");
                let n = queue.len().min(BATCH);
                queue.drain(..n).collect()
            }
        }
    }
}

fn parse(line: &str) -> Option<Write> {
    let (op, key) = line.split_once(' ')?;
    Some((op.parse().ok()?, key.parse().ok()?))
}
