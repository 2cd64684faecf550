//! The handle's reads with a loader that the cache may keep: it runs on a task of the cache.

use std::sync::Arc;

use larder_base::CacheKey;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Cache, Error, LoadContext, Loaded, Lookup, loader::FromOwned, source::BoxError};

impl<K, V> Cache<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// As [`get_or_load`](Self::get_or_load), for a loader that owns what it needs. It runs on a task of the cache and not in
    /// this future, so it goes on behind an answer: a stale value returns at once while it is refreshed, or after
    /// [`soft_deadline`](crate::CacheBuilder::soft_deadline), and a caller who goes away cancels nothing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::{sync::Arc, time::Duration};
    /// # use larder_cache::Cache;
    /// # struct Db;
    /// # impl Db { async fn user(&self, _: u64) -> Result<String, std::io::Error> { Ok("Ada".to_owned()) } }
    /// # let db = Arc::new(Db);
    /// # let store = larder_store::Store::open("embedded:").await?;
    /// # let users: Cache<u64, String> = Cache::builder("user").store(&store).ttl(Duration::from_secs(300)).build().await?;
    /// let user = users
    ///     .get_or_load_owned(&42, {
    ///         let db = Arc::clone(&db);
    ///         move || async move { db.user(42).await }
    ///     })
    ///     .await?;
    /// assert_eq!(*user, "Ada");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`get_or_load`](Self::get_or_load); a loader that panics is [`ErrorKind::LoadPanicked`](crate::ErrorKind::LoadPanicked).
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the wait, not the load, which ends on its own task and fills.
    pub async fn get_or_load_owned<F, Fut, E>(&self, key: &K, load: F) -> Result<Arc<V>, Error>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let found = match self.near_value(key) {
            Some(value) => value,
            None => self.load_owned(key, |_| load()).await?.into_value(),
        };
        found.ok_or_else(|| self.absent(key))
    }

    /// As [`get_or_load_owned`](Self::get_or_load_owned), for loaders with more to say: see
    /// [`get_or_load_with`](Self::get_or_load_with).
    ///
    /// # Errors
    /// As [`get_or_load_owned`](Self::get_or_load_owned), but a key that does not exist is `None`.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    ///
    /// # Cancel safety
    /// As [`get_or_load_owned`](Self::get_or_load_owned).
    pub async fn get_or_load_with_owned<F, Fut, T, E>(&self, key: &K, load: F) -> Result<Option<Arc<V>>, Error>
    where
        F: FnOnce(LoadContext<V>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Into<Loaded<V>> + 'static,
        E: Into<BoxError> + 'static,
    {
        match self.near_value(key) {
            Some(value) => Ok(value),
            None => self.load_owned(key, load).await.map(Lookup::into_value),
        }
    }

    /// As [`get_or_load_owned`](Self::get_or_load_owned), with the circumstances of the answer.
    ///
    /// # Errors
    /// As [`get_or_load_with_owned`](Self::get_or_load_with_owned).
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    ///
    /// # Cancel safety
    /// As [`get_or_load_owned`](Self::get_or_load_owned).
    pub async fn lookup_or_load_owned<F, Fut, E>(&self, key: &K, load: F) -> Result<Lookup<V>, Error>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        match self.near_hit(key) {
            Some(entry) => Ok(self.near_lookup(entry)),
            None => self.load_owned(key, |_| load()).await,
        }
    }

    async fn load_owned<F, Fut, T, E>(&self, key: &K, load: F) -> Result<Lookup<V>, Error>
    where
        F: FnOnce(LoadContext<V>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Into<Loaded<V>> + 'static,
        E: Into<BoxError> + 'static,
    {
        crate::cache::long(|| self.core.read(key, Some(FromOwned(load)))).await
    }
}
