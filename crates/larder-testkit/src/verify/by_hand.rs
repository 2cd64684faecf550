//! Cache code that people write by hand, as a subject.

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;
use larder_store::Store;
use redis::AsyncCommands as _;

use super::{Invalidated, Rows, Seen, Subject, Written};
use crate::{history::Served, naive::HandWritten};

/// Such code, as one process runs it: every key under a name that begins with a namespace. Clones share it.
#[derive(Clone)]
pub struct ByHand {
    cache: Arc<dyn HandWritten>,
    store: Store,
    namespace: Arc<str>,
    is_storing: bool,
}

impl fmt::Debug for ByHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByHand")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// How long a stored value stays, in seconds; long against any run.
const TTL_S: u64 = 60;

impl ByHand {
    /// `store` is where it keeps its values: to look into at rest.
    pub fn new(cache: impl HandWritten + 'static, store: &Store, namespace: &str) -> Self {
        Self {
            cache: Arc::new(cache),
            store: store.clone(),
            namespace: namespace.into(),
            is_storing: false,
        }
    }

    /// Writes through, as it is written by hand: what was committed is stored, with `SET`, instead of being dropped.
    #[must_use]
    pub fn storing(self) -> Self {
        Self {
            is_storing: true,
            ..self
        }
    }

    /// What its map in the process holds of `key`; the store is not asked.
    #[must_use]
    pub fn near(&self, key: u64) -> Option<u64> {
        self.cache.near(&self.name(key))
    }

    /// What it answers for `key`, where a missing value is found by `load`.
    pub async fn read_from(&self, key: u64, load: BoxFuture<'static, u64>) -> Option<Seen> {
        let load = Box::new(move || -> BoxFuture<'_, u64> { load });
        let version = self.cache.read(&self.name(key), load).await.ok()?;
        // A map in the process may be a little behind. What did not come from it is judged as mildly.
        let served = if self.cache.has_near() {
            Served::Near
        } else {
            Served::Store
        };
        Some(Seen {
            version,
            served,
            overdue: 0,
        })
    }

    /// Stores `value` for `key`, with `SET`; whether the store acknowledged it.
    pub async fn store(&self, key: u64, value: u64) -> bool {
        let stored = self
            .store
            .clone()
            .set_ex::<_, _, ()>(self.name(key), value, TTL_S)
            .await;
        stored.is_ok()
    }

    fn name(&self, key: u64) -> String {
        format!("{}:{key}", self.namespace)
    }
}

impl Subject for ByHand {
    async fn read(&self, process: u32, key: u64, rows: &Arc<Rows>) -> Option<Seen> {
        let rows = rows.clone();
        let load = Box::pin(async move { rows.load(process, key).await });
        self.read_from(key, load).await
    }

    async fn invalidate(&self, key: u64, _: u64) -> Invalidated {
        let done = self.cache.forget(&self.name(key)).await;
        Invalidated {
            acknowledged: done.is_ok(),
            everything: false,
        }
    }

    async fn write(&self, key: u64, choice: u64, rows: &Arc<Rows>) -> Written {
        if !self.is_storing {
            let (version, committed) = rows.commit(key);
            return Written {
                version,
                committed,
                invalidated: self.invalidate(key, choice).await,
                held_since: None,
            };
        }
        let value = rows.draw();
        let committed = rows.put(key, value).await;
        Written {
            version: value,
            committed,
            invalidated: Invalidated {
                acknowledged: self.store(key, value).await,
                everything: false,
            },
            held_since: None,
        }
    }

    async fn cached(&self, key: u64) -> Vec<(&'static str, u64)> {
        let near = self.near(key);
        let store: Option<u64> = self.store.clone().get(self.name(key)).await.ok().flatten();
        let tiers = [("near", near), ("store", store)];
        tiers
            .into_iter()
            .filter_map(|(tier, version)| Some((tier, version?)))
            .collect()
    }
}
