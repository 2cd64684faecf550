//! What happens between a store that is back and near copies that are served again (protocol 1.8).

use std::sync::{Arc, Weak};

use larder_base::CacheKey;

use crate::core::Core;

/// Waits for the store to come back, for as long as the core lives.
pub(crate) fn start<K, V>(core: &Arc<Core<K, V>>)
where
    K: CacheKey,
    V: Send + Sync + 'static,
{
    let (weak, near) = (Arc::downgrade(core), core.near.clone());
    let rounds = async move {
        loop {
            let epoch = near.waits_for_resume().await;
            let Some(core) = Weak::upgrade(&weak) else { return };
            core.near.resume(epoch);
        }
    };
    drop(core.tasks.spawn("recovery", rounds));
}
