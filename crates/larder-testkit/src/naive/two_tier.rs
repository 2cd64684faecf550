//! A map in the process in front of the store, kept true by the server's pushes (client tracking).

use std::{collections::HashMap, sync::Arc};

use futures_util::future::BoxFuture;
use larder_store::{Heartbeat, Invalidations, Listening, Store, StoreError};
use parking_lot::RwLock;
use redis::RedisResult;

use super::{CacheAside, HandWritten, Load};

/// [`CacheAside`] with a map in front, from which the server's pushes remove what somebody changed.
///
/// It reads well, and is wrong in four ways: a push may come before the reply that it concerns has been put into the
/// map; nobody pushes what a connection without an echo wrote itself, nor anything about that key thereafter; "everything
/// is gone" is a push without keys; and what happened while the connection was away is never pushed.
#[derive(Debug)]
pub struct TwoTier {
    store: CacheAside<Store>,
    copies: Arc<Copies>,
    _listening: Listening,
}

#[derive(Debug, Default)]
struct Copies(RwLock<HashMap<String, u64>>);

impl TwoTier {
    /// Over a store that tells what changes.
    ///
    /// # Errors
    /// If it does not.
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing behind.
    pub async fn new(store: Store) -> Result<Self, StoreError> {
        let copies = Arc::<Copies>::default();
        let listening = store.listen(copies.clone()).await?;
        Ok(Self {
            store: CacheAside::new(store),
            copies,
            _listening: listening,
        })
    }

    async fn look(&self, name: &str, load: Load<'_>) -> RedisResult<u64> {
        let copy = self.near(name);
        if let Some(copy) = copy {
            return Ok(copy);
        }
        let value = self.store.get(name, &[], load).await?;
        self.copies.0.write().insert(name.to_owned(), value);
        Ok(value)
    }
}

impl HandWritten for TwoTier {
    fn read<'a>(&'a self, name: &'a str, load: Load<'a>) -> BoxFuture<'a, RedisResult<u64>> {
        Box::pin(self.look(name, load))
    }

    fn forget<'a>(&'a self, name: &'a str) -> BoxFuture<'a, RedisResult<()>> {
        self.copies.0.write().remove(name);
        self.store.forget(name)
    }

    fn has_near(&self) -> bool {
        true
    }

    fn near(&self, name: &str) -> Option<u64> {
        self.copies.0.read().get(name).copied()
    }
}

impl Invalidations for Copies {
    fn invalidated(&self, keys: Option<&[&[u8]]>) {
        for key in keys.unwrap_or_default() {
            if let Ok(name) = std::str::from_utf8(key) {
                self.0.write().remove(name);
            }
        }
    }

    fn lost(&self) {}

    fn restored(&self) {}

    fn confirmed(&self, _: Heartbeat) {}
}
