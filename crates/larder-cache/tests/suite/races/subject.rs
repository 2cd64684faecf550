//! What races: Larder, and the code that people write without it.

use larder_cache::Cache;
use larder_store::Store;
use larder_testkit::naive::CacheAside;

use super::rows::Loader;

/// A cache of one process over the rows.
pub(crate) trait Subject: Clone + Send + Sync + 'static {
    /// The value, or `None` where an outage kept it from being read.
    fn read(&self, key: u64, loader: Loader) -> impl Future<Output = Option<u64>> + Send;

    /// Whether the invalidation was acknowledged.
    fn invalidate(&self, key: u64) -> impl Future<Output = bool> + Send;

    /// Whether the invalidation of a tag was acknowledged.
    fn invalidate_tag(&self, tag: &str) -> impl Future<Output = bool> + Send;
}

/// The tag of a row: two rows share it.
pub(crate) fn tag_of(key: u64) -> String {
    format!("group:{}", key / 2)
}

/// Plain get, set and del.
pub(crate) type Naive = CacheAside<Store>;

impl Subject for Naive {
    async fn read(&self, key: u64, loader: Loader) -> Option<u64> {
        let (name, tag) = (format!("row:{key}"), tag_of(key));
        self.get(&name, &[tag.as_str()], || loader.load(key)).await.ok()
    }

    async fn invalidate(&self, key: u64) -> bool {
        Self::invalidate(self, &format!("row:{key}")).await.is_ok()
    }

    async fn invalidate_tag(&self, tag: &str) -> bool {
        Self::invalidate_tag(self, tag).await.is_ok()
    }
}

/// Larder, whose loader says the tag when it has seen the row.
pub(crate) type Larder = Cache<u64, u64>;

impl Subject for Larder {
    async fn read(&self, key: u64, loader: Loader) -> Option<u64> {
        let found = self.get_or_load_with(&key, |context| async move {
            let value = loader.load(key).await;
            context.tag(tag_of(key));
            Ok::<_, std::convert::Infallible>(value)
        });
        found.await.ok().flatten().map(|value| *value)
    }

    async fn invalidate(&self, key: u64) -> bool {
        Self::invalidate(self, &key).await.is_ok()
    }

    async fn invalidate_tag(&self, tag: &str) -> bool {
        Self::invalidate_tag(self, tag).await.is_ok()
    }
}
