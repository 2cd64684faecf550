//! Building a cache.

use std::{fmt, time::Duration};

use futures_util::FutureExt as _;
use larder_base::{CacheKey, codec::Codec};
use larder_cache::OnGap;
use serde::{Serialize, de::DeserializeOwned};

use super::{Cache, Store};
use crate::{
    Coherence, Consistency, Error, NewGeneration, OnStoreDown, PendingLog, Sink, Source, Ttl, WriteGate, WritePolicy,
};

/// [`larder::CacheBuilder`](crate::CacheBuilder), blocking: the same settings and defaults.
#[must_use = "a builder does nothing before `build`"]
pub struct CacheBuilder<K, V> {
    builder: crate::CacheBuilder<K, V>,
    store: Option<Store>,
}

impl<K, V> fmt::Debug for CacheBuilder<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.builder, f)
    }
}

/// Settings, as they are called and documented on the async builder.
macro_rules! settings {
    ($($name:ident($arg:ident: $ty:ty);)*) => {$(
        #[doc = concat!("See [the async builder](crate::CacheBuilder::", stringify!($name), ").")]
        pub fn $name(mut self, $arg: $ty) -> Self {
            self.builder = self.builder.$name($arg);
            self
        }
    )*};
}

impl<K, V> CacheBuilder<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    pub(super) const fn of(builder: crate::CacheBuilder<K, V>) -> Self {
        Self { builder, store: None }
    }

    /// Where entries are kept and shared. Required.
    pub fn store(mut self, store: &Store) -> Self {
        self.builder = self.builder.store(store.as_async());
        self.store = Some(store.clone());
        self
    }

    settings! {
        near(entries: usize);
        coherence(coherence: Coherence);
        max_staleness(bound: Duration);
        consistency(consistency: Consistency);
        log_max(items: usize);
        ttl(ttl: impl Into<Ttl>);
        grace(grace: Duration);
        negative_ttl(ttl: Duration);
        jitter(share: f64);
        refresh_ahead(share: f64);
        xfetch(beta: f64);
        lease(lease: Duration);
        hold_for(hold: Duration);
        wait_budget(budget: Duration);
        load_timeout(limit: Duration);
        soft_deadline(limit: Duration);
        retry_after(pause: Duration);
        min_refill_interval(interval: Duration);
        max_loads(loads: usize);
        max_queued_loads(loads: usize);
        on_store_down(policy: OnStoreDown);
        on_new_generation(policy: NewGeneration);
        wait_replicas(replicas: u32);
        codec(codec: Codec);
        schema_revision(revision: u16);
        channel(name: impl Into<String>);
        on_gap(answer: OnGap);
        keep_pending(log: PendingLog);
        source(source: impl Source<K, V>);
        sink(sink: impl Sink<K, V>);
        write(policy: WritePolicy);
        write_gate(gate: WriteGate);
    }

    /// See [the async builder](crate::CacheBuilder::tags).
    pub fn tags<F, I>(mut self, tags: F) -> Self
    where
        F: Fn(&V) -> I + Send + Sync + 'static,
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.builder = self.builder.tags(tags);
        self
    }

    /// Builds the cache, on the runtime of its store.
    ///
    /// # Errors
    /// As [the async method](crate::CacheBuilder::build).
    ///
    /// # Panics
    /// On a thread that drives async tasks.
    #[track_caller]
    pub fn build(self) -> Result<Cache<K, V>, Error> {
        let Some(store) = self.store else {
            // Refused at its first step, before it waits for anything.
            let refused = self.builder.build().now_or_never();
            return Err(refused.and_then(Result::err).expect("a cache needs a store"));
        };
        let cache = store.runtime().block_on(self.builder.build())?;
        Ok(Cache::wrap(cache, &store))
    }
}
