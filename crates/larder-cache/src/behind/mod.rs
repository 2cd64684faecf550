//! Write-behind (protocol 2, mode Latest): writes are accepted by the store and reach the source later, in batches.
//!
//! What waits stands in a *dirty map* in the store, the last change of each key with its version. It is the truth until it
//! is flushed: `get` answers from it, and whoever flushes removes exactly the versions that the source has committed. No
//! process owns it: what one took and did not finish is taken by another after the visibility timeout, and committed
//! once in effect, because the source keeps the version of what it has and passes over what is not newer.
//!
//! | file | what it does |
//! |---|---|
//! | `config`, `check` | settings; what the store must offer for them |
//! | `keys`, `record` | where a change stands in the store, and how it is written |
//! | `accept`, `epoch` | a write until it is accepted; the epoch that its number counts in |
//! | `read`, `update` | what a read makes of a change that waits; changing single fields of one |
//! | `schedule`, `flusher` | when a partition is looked at; the task that does |
//! | `settle` | from records to the source: apply, acknowledge, bisect, put aside |
//! | `counter` | counters: totals in the store, differences at the source |
//! | `letters`, `list` | dead letters: put aside, show, replay, drop; the list of them |
//! | `finish` | flush a key, a barrier, a drain |
//! | `lag` | how far the source is behind |

mod accept;
mod check;
mod config;
mod counter;
mod epoch;
mod finish;
pub(crate) mod flusher;
mod keys;
mod lag;
mod letters;
mod list;
mod read;
mod record;
mod schedule;
mod settle;
mod update;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use larder_base::CacheKey;
use larder_store::StoreError;
use parking_lot::Mutex;
use redis::Value;
use tokio::sync::OnceCell;

pub(crate) use check::check;
pub use config::{Ack, CountAs, WriteBehind};
pub use finish::Drained;
pub(crate) use keys::{DirtyKeys, DirtyPlace};
pub use lag::Lag;
pub use letters::{DeadLetter, LetterId};

use crate::{
    Error, ErrorKind,
    core::Core,
    layout::Layout,
    mutant::{self, Mutant},
};
use epoch::Epochs;
use schedule::Schedule;

/// One of the maps of what waits in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Map {
    Values,
    Counts,
}

impl Map {
    const ALL: [Self; 2] = [Self::Values, Self::Counts];

    /// The map, and when each of its keys is due.
    const fn of(self, keys: &DirtyKeys) -> (&Bytes, &Bytes) {
        match self {
            Self::Values => (&keys.d, &keys.z),
            Self::Counts => (&keys.n, &keys.y),
        }
    }
}

/// What a cache with write-behind has beside the others.
pub(crate) struct Behind {
    pub(crate) settings: WriteBehind,
    pub(crate) keys: Vec<DirtyKeys>,
    epochs: Epochs,
    /// Which run of an engine in this process it is: it is asked once, for there is no other.
    embedded_run: OnceCell<String>,
    /// `drain` has begun: nothing more is accepted.
    closing: AtomicBool,
    schedule: Schedule,
    /// The last round of the flusher failed.
    is_failing: AtomicBool,
    /// Partitions without room for dead letters, a bit each.
    stopped: AtomicU64,
    /// Whether the sink keeps counters, once that is known.
    counts: OnceCell<()>,
    /// As it was measured last.
    pub(crate) lag: Mutex<Option<Lag>>,
}

impl Behind {
    pub(crate) fn new(settings: WriteBehind, layout: &Layout) -> Self {
        Self {
            settings,
            keys: DirtyKeys::all(layout),
            epochs: Epochs::new(),
            embedded_run: OnceCell::new(),
            closing: AtomicBool::new(false),
            schedule: Schedule::new(),
            is_failing: AtomicBool::new(false),
            stopped: AtomicU64::new(0),
            counts: OnceCell::new(),
            lag: Mutex::default(),
        }
    }

    /// The partition is not flushed until there is room for its dead letters.
    fn stop(&self, partition: u8) {
        self.stopped.fetch_or(1 << partition, Ordering::AcqRel);
    }

    fn go_on(&self, partition: u8) {
        self.stopped.fetch_and(!(1 << partition), Ordering::AcqRel);
    }

    fn is_stopped(&self, partition: u8) -> bool {
        self.stopped.load(Ordering::Acquire) & (1 << partition) != 0
    }

    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}

impl<K: CacheKey, V: Send + Sync + 'static> Core<K, V> {
    /// The dirty map of this cache; refused on one that writes otherwise.
    pub(crate) fn behind_for(&self, operation: &'static str) -> Result<&Behind, Error> {
        self.behind.as_deref().ok_or_else(|| {
            Error::from(ErrorKind::Refused {
                operation,
                why: "the cache does not write behind, so that nothing waits to be flushed",
                instead: "WritePolicy::Behind",
            })
        })
    }

    /// Refuses what writes to the source past the dirty map, where a value that waits would be flushed over it.
    pub(crate) fn refuse_behind(&self, operation: &'static str, instead: &'static str) -> Result<(), Error> {
        if self.behind.is_none() {
            return Ok(());
        }
        Err(Error::from(ErrorKind::Refused {
            operation,
            why: "the cache writes behind, and what waits to be flushed would come over it",
            instead,
        }))
    }

    /// Which run of which server the store is, as it stands beside the epoch. It is that of the connection that the next
    /// request takes, or of one before: the epoch is compared with it, and it is compared again once the answer is there.
    async fn generation_text(&self, behind: &Behind) -> Result<String, StoreError> {
        if mutant::lives(Mutant::M16) {
            return Ok("any".to_owned());
        }
        if self.store.is_embedded() {
            let run = behind.embedded_run.get_or_try_init(|| self.run_id()).await;
            return run.cloned();
        }
        if let Some(generation) = self.store.generation() {
            return Ok(text_of(&generation));
        }
        self.store.ping().await?;
        self.store
            .generation()
            .map(|generation| text_of(&generation))
            .ok_or_else(unknown)
    }

    /// Whether the store is of this generation after an answer; `None` if it is not connected.
    fn is_still(&self, generation: &str) -> Option<bool> {
        if self.store.is_embedded() || mutant::lives(Mutant::M16) {
            return Some(true);
        }
        Some(text_of(&self.store.generation()?) == generation)
    }

    async fn run_id(&self) -> Result<String, StoreError> {
        let mut info = redis::cmd("INFO");
        info.arg("server");
        let text = match self.store.run(&info).await? {
            Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Value::VerbatimString { text, .. } | Value::SimpleString(text) => text,
            _ => String::new(),
        };
        let run = text.lines().find_map(|line| line.strip_prefix("run_id:"));
        run.map(|run| run.trim().to_owned()).ok_or_else(unknown)
    }

    fn label_of_field(&self, field: &[u8]) -> String {
        String::from_utf8_lossy(field).into_owned()
    }
}

fn text_of(generation: &larder_store::Generation) -> String {
    format!("{}:{}", generation.run_id, generation.replication_id)
}

/// The store is being connected, or does not tell which one it is.
fn unknown() -> StoreError {
    redis::RedisError::from(std::io::Error::other(
        "the store has not told which run of which server it is",
    ))
    .into()
}
