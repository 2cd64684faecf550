//! What a cache does beside its callers: publish its counters, and age tag stamps once per longest hard TTL.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use larder_base::{CacheKey, metric::Figures as _};
use redis::Value;

use crate::{
    CacheEvent,
    core::Core,
    script::{RotateTags, Step},
    settings::millis,
};

/// How often counters are published: what reads them does so every few seconds.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);

/// Stamps are aged at least this far apart, however short the TTL: it costs 64 small commands.
const AGE_AT_LEAST: Duration = Duration::from_secs(60);

/// Starts the housekeeping of a core; it ends with it.
pub(crate) fn start<K, V>(core: &Arc<Core<K, V>>)
where
    K: CacheKey,
    V: Send + Sync + 'static,
{
    let (weak, clock) = (Arc::downgrade(core), core.clock.clone());
    let rounds = async move {
        let (mut aged, mut evicted) = (clock.monotonic(), 0);
        loop {
            clock.sleep(PUBLISH_EVERY).await;
            let Some(core) = Weak::upgrade(&weak) else { return };
            core.publish();
            evicted = core.tell_evictions(evicted);
            core.age_ring();
            core.agree_ahead().await;
            if core.now().saturating_sub(aged) >= core.generation() {
                aged = core.now();
                core.age_tags().await;
            }
        }
    };
    drop(core.tasks.spawn("housekeeping", rounds));
}

impl<K: CacheKey, V: Send + Sync + 'static> Core<K, V> {
    /// G of the protocol: no value outlives it, so a stamp that nobody used for so long is nobody's.
    /// This cache shortens TTLs only, but another program on the same store may lengthen them by the jitter.
    fn generation(&self) -> Duration {
        let longest = self
            .settings
            .ttl
            .span()
            .mul_f64(1.0 + self.settings.jitter)
            .saturating_add(self.settings.grace);
        longest.max(AGE_AT_LEAST)
    }

    /// Tells how many entries left the near tier since there were `before`; how many there are now.
    fn tell_evictions(&self, before: u64) -> u64 {
        let now = self.near.evictions();
        if now > before {
            self.events.tell(|| CacheEvent::Evicted { entries: now - before });
        }
        now
    }

    /// Lets the ring age while the store is what it was.
    fn age_ring(&self) {
        let generation = self.store.generation();
        if generation.is_some() && *self.known_generation.lock() == generation {
            self.ring.age(self.now());
        }
    }

    /// Ages the stamps of each partition that nobody else has aged within G.
    async fn age_tags(&self) {
        for partition in self.layout.partitions() {
            let mut command = redis::cmd("SET");
            command
                .arg(partition.g.as_ref())
                .arg(1)
                .arg("NX")
                .arg("PX")
                .arg(millis(self.generation()));
            let first = match self.store.run(&command).await {
                Ok(Value::Okay) => true,
                Ok(_) => false,
                // Liveness alone: the next round tries again.
                Err(_) => return,
            };
            if first && let Err(error) = self.store.call(&RotateTags { partition }.call()).await {
                tracing::debug!(%error, "tag stamps could not be aged");
                return;
            }
        }
    }
}
