//! Reads M again wherever it was written: copies that the change does not concern live on (rule R2 of protocol 1.5).

use std::sync::{Arc, Weak};

use larder_base::CacheKey;
use redis::Value;

use crate::{core::Core, partition::Suspect, record::Meta};

/// Settles what is suspect for as long as the core lives: one command at a time, however many pushes come.
pub(crate) fn start<K, V>(core: &Arc<Core<K, V>>)
where
    K: CacheKey,
    V: Send + Sync + 'static,
{
    let (weak, near) = (Arc::downgrade(core), core.near.clone());
    let rounds = async move {
        loop {
            let suspects = near.suspects().await;
            let Some(core) = Weak::upgrade(&weak) else { return };
            core.read_metas(&suspects).await;
        }
    };
    drop(core.tasks.spawn("settle", rounds));
}

impl<K: CacheKey, V: Send + Sync + 'static> Core<K, V> {
    async fn read_metas(&self, suspects: &[Suspect]) {
        let mut command = redis::cmd("MGET");
        for suspect in suspects {
            command.arg(self.layout.partition(suspect.partition).m.as_ref());
        }
        let metas = match self.store.run(&command).await {
            Ok(Value::Array(metas)) if metas.len() == suspects.len() => metas,
            // No answer: nothing lives on.
            _ => vec![Value::Nil; suspects.len()],
        };
        for (suspect, meta) in suspects.iter().zip(metas) {
            self.near.settle(*suspect, parse(&meta));
        }
    }
}

fn parse(meta: &Value) -> Option<Meta> {
    match meta {
        Value::BulkString(meta) => meta.as_slice().try_into().ok(),
        _ => None,
    }
}
