//! Write-through: hold, commit, store what was committed (theorem T3 and "storing writer" of protocol 1.3).

use std::sync::Arc;

use futures_util::future::{join_all, try_join_all};
use larder_base::CacheKey;
use serde::{Serialize, de::DeserializeOwned};

use super::{Deed, Done, Written};
use crate::{Error, Hold, Receipt, SinkError, WritePolicy, channel::Change, core::Core};

impl<K, V> Core<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// A hold that is dropped on the way ends in the background, so that a caller who goes away leaves nothing behind.
    pub(super) async fn through<T: Send>(
        self: &Arc<Self>,
        deed: &Deed<'_, K>,
        write: impl Future<Output = Result<Done<T, V>, SinkError>> + Send,
    ) -> Result<Written<T>, Error> {
        let mut holds = match try_join_all(deed.keys.iter().map(|key| self.hold(key))).await {
            Ok(holds) => holds,
            Err(error) if error.is_store_down() && self.may_write_past_the_store() => {
                return self.around(deed, write).await;
            }
            Err(error) => return Err(error),
        };
        try_join_all(holds.iter_mut().map(Hold::ready)).await?;
        let written = write.await;
        self.count_write(&written);
        let done = match written {
            Ok(done) => done,
            Err(error) => {
                // It may have been committed all the same: the ends drop what is cached.
                let ended = closed(&mut holds).await;
                self.tell_change(Change::Keys(deed.keys), &ended);
                return Err(self.failed(deed, error));
            }
        };
        let owed = self.owed(deed.keys);
        let now = done.now.filter(|_| self.settings.write == WritePolicy::Through);
        let ended = match now {
            Some(values) => {
                let stores = holds.iter_mut().zip(&values);
                let stored = join_all(stores.map(|(hold, value)| hold.store(value, deed.notes))).await;
                stored.into_iter().try_for_each(|ended| ended.map(drop))
            }
            None => closed(&mut holds).await,
        };
        self.tell_change(Change::Keys(deed.keys), &ended);
        self.settled(owed, &ended);
        Ok(Written {
            value: done.value,
            receipt: Receipt::of(ended)?,
        })
    }
}

/// Ends `holds` without storing.
async fn closed<K, V>(holds: &mut [Hold<K, V>]) -> Result<(), Error>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let closed = join_all(holds.iter_mut().map(Hold::close)).await;
    closed.into_iter().try_for_each(|ended| ended.map(drop))
}
