//! Write-around: commit, then invalidate.

use std::sync::Arc;

use larder_base::CacheKey;
use serde::{Serialize, de::DeserializeOwned};

use super::{Deed, Done, Written};
use crate::{Error, Receipt, SinkError, SinkErrorKind, core::Core, owed::Owed};

/// An invalidation that is owed from before the commit begins: pending, if the caller goes away before it is sent.
struct Debt<'a, K: CacheKey, V: Send + Sync + 'static> {
    core: &'a Core<K, V>,
    keys: &'a [K],
    is_settled: bool,
}

impl<K: CacheKey, V: Send + Sync + 'static> Drop for Debt<'_, K, V> {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        let entries = self.keys.iter().map(|key| self.core.layout.address(key).e);
        let owed: Vec<Owed> = entries.map(Owed::drop_of).collect();
        self.core.note(&owed);
        self.core.now_pending(&owed);
    }
}

impl<K, V> Core<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    pub(super) async fn around<T: Send>(
        self: &Arc<Self>,
        deed: &Deed<'_, K>,
        write: impl Future<Output = Result<Done<T, V>, SinkError>> + Send,
    ) -> Result<Written<T>, Error> {
        let mut debt = Debt {
            core: self,
            keys: deed.keys,
            is_settled: false,
        };
        let written = write.await;
        self.count_write(&written);
        // From here on the invalidation looks after itself.
        debt.is_settled = true;
        match written {
            Ok(done) => {
                let owed = self.owed(deed.keys);
                let sent = self.invalidate_and_tell(deed.keys).await;
                self.settled(owed, &sent);
                Ok(Written {
                    value: done.value,
                    receipt: Receipt::of(sent)?,
                })
            }
            Err(error) => {
                if error.kind() == SinkErrorKind::InDoubt {
                    // Pending or not, it is sent until it is acknowledged; the caller hears of the doubt.
                    let _sent = self.invalidate_and_tell(deed.keys).await;
                }
                Err(self.failed(deed, error))
            }
        }
    }
}
