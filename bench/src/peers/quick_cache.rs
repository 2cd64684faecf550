//! quick_cache with a deadline beside each value, checked against the kernel's coarse clock: the yardstick.

use std::{hint::black_box, sync::Arc, time::Duration};

use larder_base::CacheKey;
use quick_cache::sync::Cache;
use rustix::time::{ClockId, clock_gettime};

use super::Size;
use crate::{
    lab::{
        near::{KEYS, Subject, TTL},
        user::User,
    },
    node::Full,
    row::{Inserts, Row},
};

pub(crate) struct Near<K>(Cache<K, (Arc<User>, Duration)>);

fn coarse() -> Duration {
    let time = clock_gettime(ClockId::MonotonicCoarse);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

impl<K: CacheKey> Near<K> {
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

impl<K: CacheKey> Subject<K> for Near<K> {
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

type Rows = Cache<u64, (Arc<Row>, Duration)>;

pub(crate) async fn full(size: Size) -> anyhow::Result<Full> {
    let cache: Rows = Cache::new(size.capacity as usize);
    let deadline = coarse() + TTL;
    for id in 0..size.inserts {
        cache.insert(id, (Arc::new(Row::number(id)), deadline));
    }
    Ok(Box::new(cache))
}

struct Bounded(Rows);

pub(crate) fn bounded(capacity: u64) -> Box<dyn Inserts> {
    Box::new(Bounded(Cache::new(capacity as usize)))
}

impl Inserts for Bounded {
    fn insert(&self, id: u64) {
        self.0.insert(id, (Arc::new(Row::number(id)), coarse() + TTL));
    }
}
