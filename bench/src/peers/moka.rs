//! moka: its async cache with a TTL.

use std::{hint::black_box, sync::Arc};

use larder_base::CacheKey;
use moka::future::Cache;

use crate::lab::{
    near::{KEYS, Subject, TTL, at_once},
    user::User,
};

pub(crate) struct MokaFuture<K>(Cache<K, Arc<User>>);

impl<K: CacheKey> MokaFuture<K> {
    pub(crate) async fn filled(keys: &[K]) -> Self {
        let cache = Cache::builder().max_capacity(2 * KEYS).time_to_live(TTL).build();
        for (id, key) in keys.iter().enumerate() {
            cache.insert(key.clone(), Arc::new(User::number(id as u64))).await;
        }
        cache.run_pending_tasks().await;
        Self(cache)
    }
}

impl<K: CacheKey> Subject<K> for MokaFuture<K> {
    fn name(&self) -> String {
        "moka 0.12 future, TTL".to_owned()
    }

    fn read(&self, keys: &[K], order: &[u32]) -> usize {
        at_once(async {
            let mut found = 0;
            for &i in order {
                found += usize::from(black_box(self.0.get(&keys[i as usize]).await).is_some());
            }
            found
        })
    }
}
