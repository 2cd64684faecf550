//! Cache code that people write by hand, as a subject.

use std::{fmt, sync::Arc};

use larder_store::Store;
use redis::AsyncCommands as _;

use super::{Invalidated, Rows, Seen, Subject};
use crate::{history::Served, naive::HandWritten};

/// Such code, as one process runs it: every key under a name that begins with a namespace. Clones share it.
#[derive(Clone)]
pub struct ByHand {
    cache: Arc<dyn HandWritten>,
    store: Store,
    namespace: Arc<str>,
}

impl fmt::Debug for ByHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByHand")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl ByHand {
    /// `store` is where it keeps its values: to look into at rest.
    pub fn new(cache: impl HandWritten + 'static, store: &Store, namespace: &str) -> Self {
        Self {
            cache: Arc::new(cache),
            store: store.clone(),
            namespace: namespace.into(),
        }
    }

    /// What its map in the process holds of `key`; the store is not asked.
    #[must_use]
    pub fn near(&self, key: u64) -> Option<u64> {
        self.cache.near(&self.name(key))
    }

    fn name(&self, key: u64) -> String {
        format!("{}:{key}", self.namespace)
    }
}

impl Subject for ByHand {
    async fn read(&self, process: u32, key: u64, rows: &Arc<Rows>) -> Option<Seen> {
        let (name, rows) = (self.name(key), rows.clone());
        let load = move || -> futures_util::future::BoxFuture<'_, u64> {
            Box::pin(async move { rows.load(process, key).await })
        };
        let version = self.cache.read(&name, Box::new(load)).await.ok()?;
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

    async fn invalidate(&self, key: u64, _: u64) -> Invalidated {
        let done = self.cache.forget(&self.name(key)).await;
        Invalidated {
            acknowledged: done.is_ok(),
            everything: false,
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
