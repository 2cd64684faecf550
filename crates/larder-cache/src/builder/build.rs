//! From settings to a cache that runs: what it is made of, and what is started beside its callers.

use std::{sync::Arc, time::Duration};

use larder_base::{CacheKey, Tasks, codec::Schema, metric::Metric};
use larder_store::{Listening, Store, StoreError};
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};

use super::CacheBuilder;
use crate::{
    Cache, Coherence, Consistency, Error, ErrorKind, OnStoreDown, WritePolicy,
    behind::{self, Behind},
    channel::{self, Announcements, Listener},
    coherence::{NearTier, Vouching},
    core::{Core, FastPath},
    estimate::ServerClock,
    events::Teller,
    flight::Flights,
    housekeeping, kept,
    layout::Layout,
    loading::Slots,
    log::{self, Agreement},
    metric, mutant,
    pace::Pace,
    pending::Pending,
    recovery, registry,
    ring::Ring,
    settings::BOUND,
    settle,
    stats::Counters,
};

impl<K, V> CacheBuilder<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// The cache: the one of this store and namespace in this process, or a new one.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], naming what is missing, what contradicts what, or what differs from the cache that exists;
    /// [`ErrorKind::PendingLog`] if the folder of [`keep_pending`](Self::keep_pending) cannot be used;
    /// [`ErrorKind::Store`] if the store refuses to tell what changes.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing behind.
    pub async fn build(mut self) -> Result<Cache<K, V>, Error> {
        let store = self.check()?;
        let layout = Arc::new(Layout::new(&self.namespace));
        let behind = self.behind(&store, &layout).await?;
        let max_age = match self.settings.coherence {
            Coherence::TtlOnly { max_staleness } => Some(max_staleness),
            Coherence::Tracking | Coherence::Log => None,
        };
        let vouching = self.vouching(&store);
        let server = Arc::new(ServerClock::default());
        let pending = Arc::new(Pending::default());
        let near = Arc::new(NearTier::new(
            layout.clone(),
            self.settings.near,
            max_age,
            vouching,
            store.clock().clone(),
            server.clone(),
            pending.clone(),
        ));
        let listening = self.listen(&store, &near, vouching).await?;
        let events: Arc<Teller> = Arc::default();
        near.tells(events.clone());
        let keep_pending = self.settings.keep_pending.clone();
        let announcements = Arc::new(Announcements::new(store.random()));
        let core = Arc::new(Core {
            clock: store.clock().clone(),
            random: store.random().clone(),
            store,
            layout,
            schema: Schema::of::<V>(self.settings.schema_revision),
            source: self.source,
            sink: self.sink,
            behind,
            near,
            loads: Flights::new(),
            peeks: Flights::new(),
            counters: Counters::default(),
            server,
            load_slots: Arc::new(Slots::new(self.settings.max_loads, self.settings.max_queued_loads)),
            bypass_slots: Slots::new(
                Core::<K, V>::bypass_limit(&self.settings),
                self.settings.max_queued_loads,
            ),
            refills: Pace::new(self.settings.min_refill_interval),
            retries: Pace::new(self.settings.retry_after),
            settings: self.settings,
            fast: FastPath::new(),
            pending,
            keeper: keep_pending.is_some().then(Arc::default),
            ring: Ring::default(),
            events,
            announcements,
            listener: Listener::default(),
            known_generation: Mutex::default(),
            agreement: Agreement::default(),
            tasks: Tasks::new(),
            _listening: listening,
        });
        let joined = match keep_pending {
            Some(log) => kept::join(&core, &log).await?,
            None => join(&core)?,
        };
        channel::ready(&joined).await?;
        Ok(Cache::of(joined))
    }

    /// What write-behind needs, once it is known that the store can keep what is asked of it.
    async fn behind(&mut self, store: &Store, layout: &Layout) -> Result<Option<Arc<Behind>>, Error> {
        let WritePolicy::Behind(behind) = self.settings.write else {
            return Ok(None);
        };
        if self.settings.consistency == Consistency::Strict {
            return Err(Error::config(
                "`Consistency::Strict` waits before a commit, and with `WritePolicy::Behind` nobody waits for the commit; use \
                 `Consistency::Bounded`",
            ));
        }
        if !self.has_store_down {
            self.settings.on_store_down = OnStoreDown::Fail;
        }
        let value_max = self.settings.codec.largest_value();
        behind::check(store, &behind, value_max, self.settings.on_store_down).await?;
        Ok(Some(Arc::new(Behind::new(behind, layout))))
    }

    fn vouching(&self, store: &Store) -> Vouching {
        let stream = Vouching::Stream {
            // Zero says that no process has copies: waiting reads are told of changes all the same.
            bound: match self.settings.max_staleness {
                Duration::ZERO => BOUND,
                bound => bound,
            },
        };
        match self.settings.coherence {
            Coherence::Log if self.settings.reads_log() => stream,
            _ if store.is_embedded() => Vouching::Embedded,
            Coherence::Tracking => stream,
            Coherence::Log | Coherence::TtlOnly { .. } => Vouching::Nobody,
        }
    }

    /// Has the store tell `near` what changes. Without copies to keep true that only spares waiting reads a poll, so that a
    /// server which cannot is as good.
    async fn listen(
        &self,
        store: &Store,
        near: &Arc<NearTier<K, V>>,
        vouching: Vouching,
    ) -> Result<Option<Listening>, Error> {
        if vouching == Vouching::Nobody || self.settings.reads_log() {
            return Ok(None);
        }
        match store.listen(mutant::listener(near.clone())).await {
            Ok(listening) => Ok(Some(listening)),
            Err(error) if self.settings.near == 0 => {
                tracing::debug!(%error, "the store does not tell what changes; reads that wait for a load poll");
                Ok(None)
            }
            Err(error @ StoreError::Tracking { .. }) => Err(Error::config(format!(
                "`near` with `Coherence::Tracking` needs a server that tells what changes ({error}); use \
                 `Coherence::Log`, or `Coherence::TtlOnly {{ max_staleness }}`, or `near(0)`"
            ))),
            Err(source) => Err(Error::from(ErrorKind::Store {
                operation: "listen",
                source: Arc::new(source),
            })),
        }
    }
}

/// The core that exists, or this one, started.
pub(crate) fn join<K, V>(core: &Arc<Core<K, V>>) -> Result<Arc<Core<K, V>>, Error>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let joined = registry::join(core.clone())?;
    if Arc::ptr_eq(&joined, core) {
        // Without a pause: from its registration on others may join it, and the future that builds it may be dropped.
        start_all(core);
    }
    Ok(joined)
}

/// Starts what a core does beside its callers.
fn start_all<K, V>(core: &Arc<Core<K, V>>)
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    metric::METRICS.iter().for_each(Metric::describe);
    larder_base::metric::register(core);
    housekeeping::start(core);
    mutant::tick(&core.clock, &core.tasks);
    recovery::start(core);
    settle::start(core);
    behind::flusher::start(core);
    if core.settings.reads_log() {
        log::start(core);
    }
    channel::start(core);
}
