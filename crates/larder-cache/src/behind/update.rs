//! Changing single fields under write-behind: the patch is laid over what is there now, and the whole value is written if
//! nobody has written since.
//!
//! What is there is the change that waits, or else the row, loaded under a lease: any write takes the lease away. So of two
//! updates at once one is computed anew from the other's outcome, and both stand.

use std::sync::Arc;

use larder_base::{CacheKey, codec::CodecError, failpoint};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::record::Record;
use crate::{
    Error, ErrorKind, Patch, Receipt, Written,
    core::{Core, Place},
    lease::LeaseGuard,
    script::{Lease, Mode, OnlyIf},
    source::SharedSource,
};

/// What an update begins from.
struct Base<K: CacheKey, V: Send + Sync + 'static> {
    value: Option<V>,
    only_if: OnlyIf,
    lease: Option<LeaseGuard<K, V>>,
}

impl<K, V> Core<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    pub(crate) async fn update_behind(
        self: &Arc<Self>,
        key: &K,
        patch: &Patch,
    ) -> Result<Written<Option<Arc<V>>>, Error> {
        let behind = self.behind_for("update")?;
        let source = self.source.clone().ok_or_else(|| {
            Error::from(ErrorKind::Refused {
                operation: "update",
                why: "under write-behind an update reads the row, and the cache has no source",
                instead: "put",
            })
        })?;
        let place = Arc::new(self.place(key));
        let deadline = self.now().saturating_add(behind.settings.wait);
        loop {
            if let Some(base) = self.base(key, &place, &source).await? {
                let Some(value) = base.value else {
                    if let Some(lease) = base.lease {
                        lease.release().await;
                    }
                    let (value, receipt) = (None, Receipt::ACKNOWLEDGED);
                    return Ok(Written { value, receipt });
                };
                let value = self.patched(&place, &value, patch)?;
                failpoint::reach("update unsent");
                let accepted = self.accept_if(key, &value, base.only_if).await?;
                if let Some(receipt) = accepted {
                    // The write has taken the lease away.
                    base.lease.into_iter().for_each(LeaseGuard::given_back);
                    let value = Some(Arc::new(value));
                    return Ok(Written { value, receipt });
                }
            }
            if self.now() >= deadline {
                return Err(Error::from(ErrorKind::Contended {
                    key: self.label(&place),
                    waited: behind.settings.wait,
                }));
            }
            self.pause_briefly().await;
        }
    }

    /// What is there now; `None` if it could not be had just now.
    async fn base(
        self: &Arc<Self>,
        key: &K,
        place: &Arc<Place>,
        source: &SharedSource<K, V>,
    ) -> Result<Option<Base<K, V>>, Error> {
        let (got, lease) = self.lease(key, place, Mode::Early).await?;
        if let Lease::Dirty(bytes) = got.state {
            let unreadable = |source| {
                Error::from(ErrorKind::Decode {
                    key: self.label(place),
                    source,
                })
            };
            let record = Record::parse(&bytes).ok_or_else(|| unreadable(CodecError::Truncated))?;
            let value = record.value(&self.settings.codec, place.address.written.as_str());
            return Ok(Some(Base {
                value: value.map_err(unreadable)?,
                only_if: OnlyIf::Version(record.raw_version),
                lease: None,
            }));
        }
        let Some(lease) = lease else { return Ok(None) };
        let failed = |error: crate::loader::LoadError| error.to_error(self.label(place));
        let loading = self.begin_load(1, false).await.map_err(failed)?;
        let loaded = lease.keep_during(self.within_limit(source.load(key))).await;
        loading.ended(&loaded);
        Ok(Some(Base {
            value: loaded.map_err(failed)?,
            only_if: OnlyIf::Lease(lease.token()),
            lease: Some(lease),
        }))
    }

    fn patched(&self, place: &Place, value: &V, patch: &Patch) -> Result<V, Error> {
        let refuse = |error: serde_json::Error| {
            Error::from(ErrorKind::Encode {
                key: self.label(place),
                source: CodecError::Serialize(format!("the patched value: {error}")),
            })
        };
        let mut whole = serde_json::to_value(value).map_err(refuse)?;
        let Value::Object(fields) = &mut whole else {
            return Err(Error::from(ErrorKind::Refused {
                operation: "update",
                why: "the value has no fields: it is no struct and no map",
                instead: "put",
            }));
        };
        fields.extend(patch.fields().clone());
        serde_json::from_value(whole).map_err(refuse)
    }
}
