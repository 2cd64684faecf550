//! papaya: a bare concurrent map, without eviction and without expiry: what a look-up alone costs.

use std::{hint::black_box, sync::Arc};

use larder_base::CacheKey;
use papaya::HashMap;

use super::Size;
use crate::{
    lab::{near::Subject, user::User},
    node::Full,
    row::Row,
};

pub(crate) struct Near<K>(HashMap<K, Arc<User>>);

impl<K: CacheKey> Near<K> {
    pub(crate) fn filled(keys: &[K]) -> Self {
        let map = HashMap::new();
        for (id, key) in keys.iter().enumerate() {
            map.pin().insert(key.clone(), Arc::new(User::number(id as u64)));
        }
        Self(map)
    }
}

impl<K: CacheKey> Subject<K> for Near<K> {
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

pub(crate) async fn full(size: Size) -> anyhow::Result<Full> {
    let map = HashMap::new();
    for id in 0..size.inserts {
        map.pin().insert(id, Arc::new(Row::number(id)));
    }
    Ok(Box::new(map))
}
