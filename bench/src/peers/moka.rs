//! moka with a TTL, and redis-rs behind it by hand.

use std::{hint::black_box, sync::Arc};

use larder_base::{CacheKey, Tasks};
use moka::future::Cache;
use tokio::runtime::Handle;

use super::{
    Size,
    by_hand::{Rows, follow},
};
use crate::{
    lab::{
        near::{KEYS, Subject, TTL, at_once},
        user::User,
    },
    node::{Answer, Full, Load, Node, Peer, Place},
    row::{Inserts, Row},
};

pub(crate) const PEER: Peer = Peer {
    name: "moka + redis-rs by hand",
    setup: "try_get_with, GET and SET EX, DEL and PUBLISH, subscriber that reconnects",
    join: |place| Box::pin(join(place)),
};

struct ByHand {
    near: Option<Cache<u64, Arc<User>>>,
    rows: Rows,
    _tasks: Tasks,
}

async fn join(place: Place) -> anyhow::Result<Box<dyn Node>> {
    let rows = Rows::connect(&place.redis, &place.namespace).await?;
    let near = (place.near > 0).then(|| Cache::builder().max_capacity(place.near).time_to_live(TTL).build());
    let tasks = Tasks::new();
    if let Some(near) = near.clone() {
        let drop_copy = move |id| {
            let near = near.clone();
            async move { near.invalidate(&id).await }
        };
        follow(&place.messages, &place.namespace, &tasks, drop_copy).await?;
    }
    Ok(Box::new(ByHand {
        near,
        rows,
        _tasks: tasks,
    }))
}

impl ByHand {
    async fn load(&self, id: u64, load: Load) -> anyhow::Result<Arc<User>> {
        if let Some(user) = self.rows.get(id).await? {
            return Ok(Arc::new(user));
        }
        let user = load().await;
        self.rows.put(id, &user).await?;
        Ok(Arc::new(user))
    }
}

impl Node for ByHand {
    fn read(&self, id: u64, load: Load) -> Answer<'_, Arc<User>> {
        Box::pin(async move {
            let Some(near) = &self.near else {
                return self.load(id, load).await;
            };
            let read = near.try_get_with(id, self.load(id, load)).await;
            read.map_err(|error| anyhow::anyhow!("{error:#}"))
        })
    }

    fn invalidate(&self, id: u64) -> Answer<'_, ()> {
        Box::pin(async move {
            self.rows.remove(id).await?;
            if let Some(near) = &self.near {
                near.invalidate(&id).await;
            }
            self.rows.publish(id).await
        })
    }
}

pub(crate) struct Near<K>(Cache<K, Arc<User>>, Handle);

impl<K: CacheKey> Near<K> {
    pub(crate) async fn filled(keys: &[K]) -> Self {
        let cache = Cache::builder().max_capacity(2 * KEYS).time_to_live(TTL).build();
        for (id, key) in keys.iter().enumerate() {
            cache.insert(key.clone(), Arc::new(User::number(id as u64))).await;
        }
        cache.run_pending_tasks().await;
        Self(cache, Handle::current())
    }
}

impl<K: CacheKey> Subject<K> for Near<K> {
    fn name(&self) -> String {
        "moka 0.12 future, TTL".to_owned()
    }

    fn read(&self, keys: &[K], order: &[u32]) -> usize {
        at_once(&self.1, async {
            let mut found = 0;
            for &i in order {
                found += usize::from(black_box(self.0.get(&keys[i as usize]).await).is_some());
            }
            found
        })
    }
}

/// Room for so many rows.
fn rows(capacity: u64) -> Cache<u64, Arc<Row>> {
    Cache::builder().max_capacity(capacity).time_to_live(TTL).build()
}

pub(crate) async fn full(size: Size) -> anyhow::Result<Full> {
    let cache = rows(size.capacity);
    for id in 0..size.inserts {
        cache.insert(id, Arc::new(Row::number(id))).await;
    }
    cache.run_pending_tasks().await;
    Ok(Box::new(cache))
}

struct Bounded(Cache<u64, Arc<Row>>, Handle);

pub(crate) fn bounded(capacity: u64) -> Box<dyn Inserts> {
    Box::new(Bounded(rows(capacity), Handle::current()))
}

impl Inserts for Bounded {
    fn insert(&self, id: u64) {
        at_once(&self.1, self.0.insert(id, Arc::new(Row::number(id))));
    }
}
