//! quick_cache with a deadline beside each value, checked against the kernel's coarse clock: the yardstick.

use std::{hint::black_box, sync::Arc, time::Duration};

use larder_base::CacheKey;
use quick_cache::sync::Cache;
use rustix::time::{ClockId, clock_gettime};

use crate::lab::{
    near::{KEYS, Subject, TTL},
    user::User,
};

pub(crate) struct QuickCache<K>(Cache<K, (Arc<User>, Duration)>);

fn coarse() -> Duration {
    let time = clock_gettime(ClockId::MonotonicCoarse);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

impl<K: CacheKey> QuickCache<K> {
    pub(crate) fn filled(keys: &[K]) -> Self {
        let cache = Cache::new(2 * KEYS as usize);
        let deadline = coarse() + TTL;
        for (id, key) in keys.iter().enumerate() {
            cache.insert(key.clone(), (Arc::new(User::number(id as u64)), deadline));
        }
        Self(cache)
    }

    fn get(&self, key: &K) -> Option<Arc<User>> {
        let (value, deadline) = self.0.get(key)?;
        (coarse() < deadline).then_some(value)
    }
}

impl<K: CacheKey> Subject<K> for QuickCache<K> {
    fn name(&self) -> String {
        "quick_cache 0.7, coarse clock".to_owned()
    }

    fn read(&self, keys: &[K], order: &[u32]) -> usize {
        let mut found = 0;
        for &i in order {
            found += usize::from(black_box(self.get(&keys[i as usize])).is_some());
        }
        found
    }
}
