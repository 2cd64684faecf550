//! What loads many keys at once.

use larder_base::CacheKey;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    BoxError, LoadContext, Loaded,
    loader::{FromCall, FromSource, Loader},
    source::SharedSource,
};

/// Loads the missing keys of a batch, with one call.
pub(crate) trait ManyLoader<K: CacheKey, V: Send + Sync + 'static>: Send + Sync {
    /// Whether there is anything to load with.
    fn loads(&self) -> bool {
        true
    }

    /// The source behind it, if it can load when its caller has gone.
    fn kept(&self) -> Option<SourceMany<K, V>> {
        None
    }

    /// The values of those `keys` that exist.
    fn load_many(&self, keys: Vec<K>) -> impl Future<Output = Result<Vec<(K, V)>, BoxError>> + Send;

    /// The loader of a single key.
    fn one<'a>(&'a self, key: &'a K) -> impl Loader<K, V> + 'a;
}

/// The source that the cache reads through.
pub(crate) struct SourceMany<K, V>(pub(crate) SharedSource<K, V>);

impl<K, V> ManyLoader<K, V> for SourceMany<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    fn kept(&self) -> Option<Self> {
        Some(Self(self.0.clone()))
    }

    async fn load_many(&self, keys: Vec<K>) -> Result<Vec<(K, V)>, BoxError> {
        self.0.load_many(&keys).await
    }

    fn one<'a>(&'a self, _: &'a K) -> impl Loader<K, V> + 'a {
        FromSource(self.0.clone())
    }
}

/// A loader given at the call.
pub(crate) struct CallMany<F>(pub(crate) F);

impl<K, V, F, Fut, E> ManyLoader<K, V> for CallMany<F>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
    F: Fn(Vec<K>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Vec<(K, V)>, E>> + Send,
    E: Into<BoxError>,
{
    async fn load_many(&self, keys: Vec<K>) -> Result<Vec<(K, V)>, BoxError> {
        (self.0)(keys).await.map_err(Into::into)
    }

    fn one<'a>(&'a self, key: &'a K) -> impl Loader<K, V> + 'a {
        FromCall(move |_: LoadContext<V>| {
            let loading = (self.0)(vec![key.clone()]);
            async move {
                let found = loading.await?;
                Ok::<_, E>(Loaded::from(
                    found
                        .into_iter()
                        .find(|(loaded, _)| loaded == key)
                        .map(|(_, value)| value),
                ))
            }
        })
    }
}

/// Nothing loads: what is not cached is missing.
pub(crate) struct NoLoader;

impl<K, V> ManyLoader<K, V> for NoLoader
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    fn loads(&self) -> bool {
        false
    }

    async fn load_many(&self, _: Vec<K>) -> Result<Vec<(K, V)>, BoxError> {
        Ok(Vec::new())
    }

    fn one<'a>(&'a self, _: &'a K) -> impl Loader<K, V> + 'a {
        FromCall(|_: LoadContext<V>| std::future::ready(Ok::<_, BoxError>(Loaded::from(None))))
    }
}
