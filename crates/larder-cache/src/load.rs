//! Loading: what happens between a lease, or the need to do without one, and the loader's answer.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use larder_base::CacheKey;
use serde::{Serialize, de::DeserializeOwned};
use tracing::Instrument as _;

use crate::{
    context::{LoadContext, Loaded},
    core::{Core, Place},
    fill::Filling,
    flight::{Leader, Share},
    found::{Lookup, Outcome},
    lease::LeaseGuard,
    loader::{LoadError, Loader},
    source::BoxError,
    stats::Count,
};

/// One load: for a flight, or in the background of an answer.
pub(crate) struct Job<K: CacheKey, V: Send + Sync + 'static> {
    pub(crate) key: K,
    pub(crate) place: Arc<Place>,
    pub(crate) lease: Option<LeaseGuard<K, V>>,
    /// The value that the load is to replace: it covers a failure.
    pub(crate) old: Option<Old<V>>,
    pub(crate) bypass: bool,
    pub(crate) leader: Option<Leader<K, Outcome<V>>>,
}

/// A value that came with a lease.
pub(crate) struct Old<V> {
    pub(crate) found: Lookup<V>,
    /// When the store was asked, on the monotonic clock.
    pub(crate) seen: Duration,
    /// How long it would last from then.
    pub(crate) hard_left: Duration,
    /// It was marked stale: those who ask while the key is leased wait, they do not get it.
    pub(crate) only_if_failed: bool,
}

impl<V> Old<V> {
    /// The answer that it is at `now`.
    pub(crate) fn at(&self, now: Duration) -> Lookup<V> {
        self.found.clone().aged(now.saturating_sub(self.seen))
    }

    /// For how long others are served it from `now` if the lease stays and nobody loads.
    pub(crate) fn served_for(&self, now: Duration) -> Duration {
        if self.only_if_failed {
            return Duration::ZERO;
        }
        self.hard_left.saturating_sub(now.saturating_sub(self.seen))
    }
}

impl<K, V> Core<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Loads, fills, and ends the flight.
    pub(crate) async fn load<L: Loader<K, V>>(self: Arc<Self>, job: Job<K, V>, loader: L) -> Outcome<V> {
        let Job {
            key,
            place,
            lease,
            old,
            bypass,
            mut leader,
        } = job;
        let context = LoadContext::new(old.as_ref().and_then(|old| old.found.value().cloned()));
        let (loaded, cost) = {
            // Boxed: the caller's own future may be large, and here it is handed on from one wait to the next.
            let load = Box::pin(self.run_loader(&key, loader, context.clone(), bypass));
            let work = async {
                match &lease {
                    Some(lease) => lease.keep_during(load).await,
                    None => load.await,
                }
            };
            self.answer_meanwhile(work, old.as_ref(), &mut leader).await
        };
        let filling = Filling {
            core: &self,
            key: &key,
            place: &place,
            lease,
            leader: leader.as_ref(),
            notes: context.notes(),
            cost,
            old,
        };
        // Finding tags and encoding is the caller's code as well: where it panics, whoever leads next would run into it.
        let finished = AssertUnwindSafe(filling.finish(loaded)).catch_unwind().await;
        let (outcome, share) = finished.unwrap_or_else(|_| {
            let error = LoadError::Panicked.to_error(self.label(&place));
            (Err(error), Share::Members)
        });
        if let Some(leader) = leader {
            leader.finish(outcome.clone(), share);
        }
        outcome
    }

    /// Does `work`; if that takes longer than `soft_deadline`, the flight ends with the older value meanwhile.
    async fn answer_meanwhile<T>(
        &self,
        work: impl Future<Output = T>,
        old: Option<&Old<V>>,
        leader: &mut Option<Leader<K, Outcome<V>>>,
    ) -> T {
        let (Some(limit), Some(old)) = (self.settings.soft_deadline, old) else {
            return work.await;
        };
        let mut work = std::pin::pin!(work);
        if let Some(done) = self.clock.timeout(limit, work.as_mut()).await {
            return done;
        }
        if let Some(leader) = leader.take() {
            self.count(Count::SoftDeadlines);
            leader.finish(Ok(old.at(self.now())), Share::Members);
        }
        work.await
    }

    /// Runs the loader in its turn, under the cap and the deadline; also says how long it took.
    async fn run_loader<L: Loader<K, V>>(
        &self,
        key: &K,
        loader: L,
        context: LoadContext<V>,
        bypass: bool,
    ) -> (Result<Loaded<V>, LoadError>, Duration) {
        // The turn first: whoever waits for it needs no slot.
        while let Some(left) = self.refills.take_turn(key, self.now()) {
            self.clock.sleep(left).await;
        }
        let loading = match self.begin_load(1, bypass).await {
            Ok(loading) => loading,
            Err(full) => return (Err(full), Duration::ZERO),
        };
        let span = tracing::debug_span!("load", namespace = %self.layout.namespace());
        let load = loader.load(key, context);
        let loaded = self.within_limit(load).instrument(span).await;
        let took = loading.ended(&loaded);
        (loaded, took)
    }

    /// Runs `load` for at most `load_timeout`.
    pub(crate) async fn within_limit<T>(
        &self,
        load: impl Future<Output = Result<T, BoxError>>,
    ) -> Result<T, LoadError> {
        let loaded = match self.settings.load_timeout {
            Some(limit) => self.clock.timeout(limit, load).await.ok_or(LoadError::Timeout(limit))?,
            None => load.await,
        };
        loaded.map_err(LoadError::of)
    }
}
