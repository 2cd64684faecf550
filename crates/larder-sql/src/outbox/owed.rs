//! What a writer does after its COMMIT.

use larder_base::CacheKey;
use larder_cache::{Cache, Error};
use serde::{Serialize, de::DeserializeOwned};

use super::Outbox;

/// Invalidations that a transaction has recorded. Dropped, they are left to the [relay](super::Relay), as if the process
/// had died; so they are where the transaction was rolled back, which took the record with it.
#[derive(Debug)]
#[must_use = "after the COMMIT call `deliver`, or the relay makes the invalidation some seconds later"]
pub struct Owed<K: CacheKey, V> {
    outbox: Outbox,
    cache: Cache<K, V>,
    what: What<K>,
    ids: Vec<i64>,
}

#[derive(Debug)]
enum What<K> {
    Keys(Vec<K>),
    Tags(Vec<String>),
}

impl<K, V> Owed<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    pub(super) fn keys(outbox: Outbox, cache: Cache<K, V>, keys: Vec<K>, ids: Vec<i64>) -> Self {
        let what = What::Keys(keys);
        Self {
            outbox,
            cache,
            what,
            ids,
        }
    }

    pub(super) fn tags(outbox: Outbox, cache: Cache<K, V>, tags: Vec<String>, ids: Vec<i64>) -> Self {
        let what = What::Tags(tags);
        Self {
            outbox,
            cache,
            what,
            ids,
        }
    }

    /// Invalidates now, to be called once the COMMIT has returned, with success or in doubt. `Ok` means, as of
    /// [`Cache::invalidate`], that the store acknowledged it; the record is deleted a moment later, in the background.
    ///
    /// # Errors
    /// [`Pending`](larder_cache::ErrorKind::Pending) if the store did not acknowledge it: this process goes on sending it, and the record stays for
    /// the relay, which outlives the process.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it goes on in the background, and the record stays for the relay.
    pub async fn deliver(self) -> Result<(), Error> {
        match &self.what {
            What::Keys(keys) => self.cache.invalidate_many(keys).await?,
            What::Tags(tags) => self.cache.invalidate_tags(tags.iter().cloned()).await?,
        }
        self.outbox.settle(self.ids);
        Ok(())
    }
}
