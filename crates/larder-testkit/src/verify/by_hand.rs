//! Cache code that people write by hand, as a subject.

use std::sync::Arc;

use redis::{AsyncCommands as _, aio::ConnectionLike};

use super::{Invalidated, Rows, Seen, Subject};
use crate::{history::Served, naive::HandWritten};

/// Such code, as one process runs it: every key under a name that begins with a namespace.
#[derive(Clone, Debug)]
pub struct ByHand<C, S> {
    cache: C,
    store: S,
    namespace: Arc<str>,
}

impl<C, S> ByHand<C, S> {
    /// `store` is a connection to look into the store with, at rest.
    pub fn new(cache: C, store: S, namespace: &str) -> Self {
        Self {
            cache,
            store,
            namespace: namespace.into(),
        }
    }

    /// The name of a key.
    #[must_use]
    pub fn name(&self, key: u64) -> String {
        format!("{}:{key}", self.namespace)
    }
}

impl<C, S> Subject for ByHand<C, S>
where
    C: HandWritten,
    S: ConnectionLike + Clone + Send + Sync + 'static,
{
    async fn read(&self, process: u32, key: u64, rows: &Arc<Rows>) -> Option<Seen> {
        let rows = rows.clone();
        let load = move || async move { rows.load(process, key).await };
        let version = self.cache.get(&self.name(key), load).await.ok()?;
        let (served, overdue) = (Served::Store, 0);
        Some(Seen {
            version,
            served,
            overdue,
        })
    }

    async fn invalidate(&self, key: u64, _: u64) -> Invalidated {
        let done = self.cache.invalidate(&self.name(key)).await;
        Invalidated {
            acknowledged: done.is_ok(),
            everything: false,
        }
    }

    async fn cached(&self, key: u64) -> Vec<(&'static str, u64)> {
        let version: Option<u64> = self.store.clone().get(self.name(key)).await.ok().flatten();
        version.map(|version| ("store", version)).into_iter().collect()
    }
}
