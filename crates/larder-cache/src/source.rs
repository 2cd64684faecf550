//! Where values come from on a miss, configured once: the database behind a read-through cache.

use std::{error::Error as StdError, future::Future, pin::Pin, sync::Arc};

use crate::sink::SharedSink;

/// Any error of a source or a loader; the cache hands it on inside its own.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// What a cache reads through: a table, a service, anything that answers by key.
///
/// A load must read **a snapshot taken after it was called**, from the primary: theorem T1 rests on it. A replica
/// that lags would hand out a row from before the invalidation that made it a miss.
///
/// ```
/// use larder_cache::{BoxError, Source};
///
/// struct Squares;
///
/// impl Source<u64, u64> for Squares {
///     async fn load(&self, key: &u64) -> Result<Option<u64>, BoxError> {
///         Ok(key.checked_mul(*key))
///     }
/// }
/// ```
pub trait Source<K, V>: Send + Sync + 'static
where
    K: Send + Sync,
    V: Send,
{
    /// The value of `key`; `None` says that there is none, which is remembered for the negative TTL.
    ///
    /// # Errors
    /// Whatever kept the source from answering. It is not cached; with grace, an old value covers it.
    fn load(&self, key: &K) -> impl Future<Output = Result<Option<V>, BoxError>> + Send;

    /// The values of those `keys` that exist, in any order; a key left out does not exist.
    ///
    /// By default one [`load`](Self::load) after another: a source that can ask once for all should.
    ///
    /// # Errors
    /// As for [`load`](Self::load); it then counts for every key of the call.
    fn load_many(&self, keys: &[K]) -> impl Future<Output = Result<Vec<(K, V)>, BoxError>> + Send
    where
        K: Clone,
    {
        async move {
            let mut found = Vec::with_capacity(keys.len());
            for key in keys {
                if let Some(value) = self.load(key).await? {
                    found.push((key.clone(), value));
                }
            }
            Ok(found)
        }
    }

    /// How values are written, for a source that also takes them: with it, `put` and its kin write to the source, as
    /// [`WritePolicy`](crate::WritePolicy) says. Default `None`: they are refused, naming `invalidate`.
    fn sink(&self) -> Option<SharedSink<K, V>> {
        None
    }
}

type Loading<'a, T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send + 'a>>;

/// [`Source`] without its type: one allocation a load, which a load can bear.
pub(crate) trait AnySource<K, V>: Send + Sync {
    fn load<'a>(&'a self, key: &'a K) -> Loading<'a, Option<V>>;
    fn load_many<'a>(&'a self, keys: &'a [K]) -> Loading<'a, Vec<(K, V)>>;
}

impl<K, V, S> AnySource<K, V> for S
where
    K: Clone + Send + Sync + 'static,
    V: Send + 'static,
    S: Source<K, V>,
{
    fn load<'a>(&'a self, key: &'a K) -> Loading<'a, Option<V>> {
        Box::pin(Source::load(self, key))
    }

    fn load_many<'a>(&'a self, keys: &'a [K]) -> Loading<'a, Vec<(K, V)>> {
        Box::pin(Source::load_many(self, keys))
    }
}

/// A source behind a pointer, as the cache keeps it.
pub(crate) type SharedSource<K, V> = Arc<dyn AnySource<K, V>>;
