//! papaya: a bare concurrent map, without eviction and without expiry: what a look-up alone costs.

use std::{hint::black_box, sync::Arc};

use larder_base::CacheKey;
use papaya::HashMap;

use crate::lab::{near::Subject, user::User};

pub(crate) struct PapayaMap<K>(HashMap<K, Arc<User>>);

impl<K: CacheKey> PapayaMap<K> {
    pub(crate) fn filled(keys: &[K]) -> Self {
        let map = HashMap::new();
        for (id, key) in keys.iter().enumerate() {
            map.pin().insert(key.clone(), Arc::new(User::number(id as u64)));
        }
        Self(map)
    }
}

impl<K: CacheKey> Subject<K> for PapayaMap<K> {
    fn name(&self) -> String {
        "papaya 0.2, bare map".to_owned()
    }

    fn read(&self, keys: &[K], order: &[u32]) -> usize {
        let mut found = 0;
        for &i in order {
            let value = self.0.pin().get(&keys[i as usize]).cloned();
            found += usize::from(black_box(value).is_some());
        }
        found
    }
}
