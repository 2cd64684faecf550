//! amalgam-cache: memory, Redis and its backplane; and once more as strict as it goes.

use std::{convert::Infallible, hint::black_box, sync::Arc, time::Duration};

use amalgam::{
    Cache, EntryOptions, Timestamp,
    provider::{
        Clock, ClockTiming, JsonSerializer, RedisBackplane, RedisDistributedCache, RedisDistributedLocker, SystemClock,
    },
};
use larder_base::CacheKey;
use tokio::runtime::Handle;

use super::Size;
use crate::{
    lab::{
        near::{KEYS, Subject, TTL, at_once},
        user::User,
    },
    node::{Answer, Full, Load, Node, Peer, Place, Text},
    row::{Inserts, Row},
};

pub(crate) const PEER: Peer = Peer {
    name: "amalgam-cache 0.4",
    setup: "memory, Redis, backplane; defaults",
    join: |place| Box::pin(join(place, Profile::Ordinary)),
};

pub(crate) const STRICT: Peer = Peer {
    name: "amalgam-cache 0.4, strict",
    setup: "the same with strict() and its Redis locker: fenced leases, reconciling backplane",
    join: |place| Box::pin(join(place, Profile::Strict)),
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Profile {
    Ordinary,
    Strict,
}

/// The system's clock, so far behind.
struct Behind(Duration);

impl Clock for Behind {
    fn now(&self) -> Timestamp {
        let ticks = i64::try_from(self.0.as_nanos() / 100).unwrap_or(i64::MAX);
        Timestamp::from_ticks(SystemClock.now().ticks() - ticks)
    }

    fn timing_model(&self) -> ClockTiming {
        ClockTiming::RealTime
    }
}

struct Service(Cache<Arc<User>>);

async fn connect(place: &Place, profile: Profile) -> anyhow::Result<Cache<Arc<User>>> {
    let options = EntryOptions::new(TTL).with_skip_memory(place.near == 0, place.near == 0);
    let channel = format!("{}:backplane", place.namespace);
    let backplane = RedisBackplane::connect_with_channel(place.messages.as_str(), channel).await?;
    let mut builder = Cache::builder()
        .key_prefix(format!("{}:", place.namespace))
        .default_options(options)
        .distributed(Arc::new(RedisDistributedCache::connect(place.redis.as_str()).await?))
        .serializer(Arc::new(JsonSerializer))
        .backplane(Arc::new(backplane));
    if place.near > 0 {
        builder = builder.max_capacity(place.near);
    }
    if !place.clock_behind.is_zero() {
        builder = builder.clock(Arc::new(Behind(place.clock_behind)));
    }
    if profile == Profile::Strict {
        let locker = RedisDistributedLocker::connect(place.redis.as_str()).await?;
        builder = builder.strict().distributed_locker(Arc::new(locker));
    }
    Ok(builder.try_build_ready().await?)
}

async fn join(place: Place, profile: Profile) -> anyhow::Result<Box<dyn Node>> {
    Ok(Box::new(Service(connect(&place, profile).await?)))
}

impl Node for Service {
    fn read(&self, id: u64, load: Load) -> Answer<'_, Arc<User>> {
        Box::pin(async move {
            let load = move |_| async move { Ok::<_, Infallible>(Arc::new(load().await)) };
            Ok(self.0.get_or_set(id.to_string(), load).await?)
        })
    }

    fn invalidate(&self, id: u64) -> Answer<'_, ()> {
        Box::pin(async move { Ok(self.0.remove(id.to_string()).await?) })
    }
}

pub(crate) struct Near(Cache<Arc<User>>, Handle);

impl Near {
    pub(crate) async fn filled<K: Text>(redis: &str, namespace: &str, keys: &[K]) -> anyhow::Result<Self> {
        let cache = connect(&Place::new(redis, namespace, 2 * KEYS), Profile::Ordinary).await?;
        for (id, key) in keys.iter().enumerate() {
            cache.set(key.text(), Arc::new(User::number(id as u64))).await?;
        }
        Ok(Self(cache, Handle::current()))
    }
}

impl<K: CacheKey + Text> Subject<K> for Near {
    fn name(&self) -> String {
        "amalgam-cache 0.4, Redis, backplane".to_owned()
    }

    fn read(&self, keys: &[K], order: &[u32]) -> usize {
        // It asks for the runtime even on a hit.
        let _runtime = self.1.enter();
        at_once(&self.1, async {
            let mut found = 0;
            for &i in order {
                let user = self.0.try_get(keys[i as usize].text()).await;
                found += usize::from(black_box(user.ok().flatten()).is_some());
            }
            found
        })
    }
}

/// In memory alone.
fn memory(capacity: u64) -> anyhow::Result<Cache<Arc<Row>>> {
    let builder = Cache::builder().default_options(EntryOptions::new(TTL));
    Ok(builder.max_capacity(capacity).try_build()?)
}

pub(crate) async fn full(size: Size) -> anyhow::Result<Full> {
    let cache = memory(size.capacity)?;
    for id in 0..size.inserts {
        cache.set(id.text(), Arc::new(Row::number(id))).await?;
    }
    Ok(Box::new(cache))
}

struct Bounded(Cache<Arc<Row>>, Handle);

pub(crate) fn bounded(capacity: u64) -> anyhow::Result<Box<dyn Inserts>> {
    Ok(Box::new(Bounded(memory(capacity)?, Handle::current())))
}

impl Inserts for Bounded {
    fn insert(&self, id: u64) {
        let set = self.0.set(id.text(), Arc::new(Row::number(id)));
        at_once(&self.1, set.into_future()).expect("memory takes it");
    }
}
