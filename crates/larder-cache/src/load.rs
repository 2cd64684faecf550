//! Loading and filling: what happens between a lease and the value in the store.

use std::{error::Error as StdError, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use larder_base::{
    CacheKey, KeyLabel,
    codec::{Encoded, Envelope},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error,
    coherence::Copied,
    context::{Kind, LoadContext, Loaded, Notes},
    core::{Core, Place, is_out_of_memory},
    flight::{Leader, Share},
    found::{Lookup, Outcome, Tier},
    lease::LeaseGuard,
    script::{Extend, Fill, Filled, NewValue, Rejection},
    settings::{MAX_TAGS, TAG_BYTES, millis},
    source::{BoxError, SharedSource},
    stats::Count,
};

/// What loads a value for one read.
pub(crate) trait Loader<K: CacheKey, V: Send + Sync + 'static>: Send + Sized {
    /// The loader for one lead; a source can load again, a closure cannot.
    fn take(slot: &mut Option<Self>) -> Option<Self>;

    /// Loads.
    fn load(self, key: &K, context: LoadContext<V>) -> impl Future<Output = Result<Loaded<V>, BoxError>> + Send;

    /// Does `job`: in the caller's own future, which has its outcome then, or on a task of the core.
    fn run(self, core: &Arc<Core<K, V>>, job: Job<K, V>) -> impl Future<Output = Option<Outcome<V>>> + Send;

    /// Does a job that refreshes what the caller has already.
    fn refresh(
        self,
        core: &Arc<Core<K, V>>,
        job: Job<K, V>,
        present: Lookup<V>,
    ) -> impl Future<Output = Lookup<V>> + Send;
}

/// One load: for a flight, or in the background of an answer.
pub(crate) struct Job<K: CacheKey, V: Send + Sync + 'static> {
    pub(crate) key: K,
    pub(crate) place: Arc<Place>,
    pub(crate) lease: Option<LeaseGuard<K, V>>,
    pub(crate) fallback: Option<Lookup<V>>,
    pub(crate) bypass: bool,
    pub(crate) leader: Option<Leader<K, Outcome<V>>>,
}

/// The source that the cache reads through. It loads on a task of the core: a cancelled caller cancels nothing.
pub(crate) struct FromSource<K, V>(pub(crate) SharedSource<K, V>);

impl<K, V> Loader<K, V> for FromSource<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    fn take(slot: &mut Option<Self>) -> Option<Self> {
        slot.as_ref().map(|source| Self(source.0.clone()))
    }

    async fn load(self, key: &K, _: LoadContext<V>) -> Result<Loaded<V>, BoxError> {
        // On a task of its own a panic would end the task in silence, and the next member would run into it again.
        match AssertUnwindSafe(self.0.load(key)).catch_unwind().await {
            Ok(loaded) => loaded.map(Loaded::from),
            Err(_) => Err(Box::new(Panicked)),
        }
    }

    async fn run(self, core: &Arc<Core<K, V>>, job: Job<K, V>) -> Option<Outcome<V>> {
        drop(core.tasks.spawn("load", core.clone().load(job, self)));
        None
    }

    async fn refresh(self, core: &Arc<Core<K, V>>, job: Job<K, V>, present: Lookup<V>) -> Lookup<V> {
        drop(core.tasks.spawn("refresh", core.clone().load(job, self)));
        present
    }
}

/// Stands for a panic of a source until it becomes [`Error::LoadPanicked`].
#[derive(Debug, thiserror::Error)]
#[error("the source panicked")]
struct Panicked;

/// A loader given at the call. It runs in the caller's own future, so it may borrow; if the caller goes away, the next
/// member of the flight loads with its own.
pub(crate) struct FromCall<F>(pub(crate) F);

impl<K, V, F, Fut, T, E> Loader<K, V> for FromCall<F>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
    F: FnOnce(LoadContext<V>) -> Fut + Send,
    Fut: Future<Output = Result<T, E>> + Send,
    T: Into<Loaded<V>>,
    E: Into<BoxError>,
{
    fn take(slot: &mut Option<Self>) -> Option<Self> {
        slot.take()
    }

    async fn load(self, _: &K, context: LoadContext<V>) -> Result<Loaded<V>, BoxError> {
        (self.0)(context).await.map(Into::into).map_err(Into::into)
    }

    async fn run(self, core: &Arc<Core<K, V>>, job: Job<K, V>) -> Option<Outcome<V>> {
        Some(core.clone().load(job, self).await)
    }

    async fn refresh(self, core: &Arc<Core<K, V>>, job: Job<K, V>, present: Lookup<V>) -> Lookup<V> {
        // A refresh that fails leaves the caller with what it has.
        core.clone().load(job, self).await.unwrap_or(present)
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
            fallback,
            bypass,
            leader,
        } = job;
        let context = LoadContext::new(fallback.as_ref().and_then(|found| found.value().cloned()));
        let work = self.run_loader(&key, loader, context.clone(), bypass);
        let (loaded, cost) = match &lease {
            Some(lease) => lease.keep_during(work).await,
            None => work.await,
        };
        let (outcome, share) = match loaded {
            Ok(loaded) => {
                let load = Load {
                    loaded,
                    notes: context.notes(),
                    cost,
                    previous: fallback,
                };
                self.keep(&key, &place, lease, load, leader.as_ref()).await
            }
            Err(error) => (self.failed(&place, lease, error, fallback).await, Share::Members),
        };
        if let Some(leader) = leader {
            leader.finish(outcome.clone(), share);
        }
        outcome
    }

    /// Runs the loader under the cap and the deadline; also says how long it took.
    async fn run_loader<L: Loader<K, V>>(
        &self,
        key: &K,
        loader: L,
        context: LoadContext<V>,
        bypass: bool,
    ) -> (Result<Loaded<V>, LoadError>, Duration) {
        let loading = self.begin_load(1, bypass).await;
        let load = loader.load(key, context);
        let loaded = self.within_limit(load).await;
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
        loaded.map_err(|error| {
            if error.is::<Panicked>() {
                LoadError::Panicked
            } else {
                LoadError::Failed(error.into())
            }
        })
    }

    /// A failed load: the lease goes back at once, and what is left of the old value covers it.
    async fn failed(
        &self,
        place: &Place,
        lease: Option<LeaseGuard<K, V>>,
        error: LoadError,
        fallback: Option<Lookup<V>>,
    ) -> Outcome<V> {
        if let Some(lease) = lease {
            lease.release().await;
        }
        match fallback {
            Some(found) => Ok(found),
            None => Err(error.to_error(self.label(place))),
        }
    }

    /// Stores what was loaded, if the lease still stands, and says who may share it.
    async fn keep(
        &self,
        key: &K,
        place: &Place,
        lease: Option<LeaseGuard<K, V>>,
        load: Load<V>,
        leader: Option<&Leader<K, Outcome<V>>>,
    ) -> (Outcome<V>, Share) {
        let (value, negative) = match load.loaded.0 {
            Kind::Value(value) => (Some(Arc::new(value)), false),
            Kind::Absent => (None, true),
            Kind::Unmodified => {
                return self
                    .extend(key, place, lease, load.notes, load.cost, load.previous, leader)
                    .await;
            }
        };
        let ttl = if negative {
            self.settings.negative_ttl
        } else {
            load.notes.ttl.unwrap_or(self.settings.ttl.span())
        };
        let outcome = Ok(Lookup::fresh(value.clone(), Tier::Source, ttl, ttl));
        let Some(lease) = lease else {
            return (outcome, Share::Members);
        };
        let new = match self.new_value(place, value.as_deref(), &load.notes, load.cost) {
            Ok(new) => new,
            Err(error) => {
                self.count(Count::FillsFailed);
                tracing::warn!(key = %self.label(place), %error, "a loaded value is served but not cached");
                lease.release().await;
                return (outcome, Share::Members);
            }
        };
        let stored = self.fill(key, place, lease, &new, value, leader).await;
        (outcome, if stored { Share::Adopted } else { Share::Members })
    }

    /// Sends the fill, once; whether it was stored.
    async fn fill(
        &self,
        key: &K,
        place: &Place,
        lease: LeaseGuard<K, V>,
        new: &NewValue,
        value: Option<Arc<V>>,
        leader: Option<&Leader<K, Outcome<V>>>,
    ) -> bool {
        let token = lease.token();
        let marked = self.near.mark(key, place.address.partition);
        self.near.own_write(key, Some(&marked));
        if let Some(leader) = leader {
            leader.fill_handed_on();
        }
        let sent = self.now();
        let filled = self
            .ask_healing(
                &Fill {
                    keys: &place.keys,
                    token,
                    value: new,
                },
                &place.keys,
            )
            .await;
        self.near.own_write(key, Some(&marked));
        if !self.settle(lease, filled).await {
            return false;
        }
        if place.address.is_reversible() {
            let fresh_for = self.near_time(new);
            marked.install(Copied {
                value,
                uid: new.uid(token),
                tagged: !new.tags.is_empty(),
                sent,
                fresh_for,
            });
        }
        true
    }

    /// How long the near tier may serve a value that was just stored before it has to be looked at.
    pub(crate) fn near_time(&self, new: &NewValue) -> Duration {
        let by_share = self
            .settings
            .refresh_ahead
            .map_or(0.0, |share| new.soft_ms as f64 * (1.0 - share));
        let by_cost = self.settings.xfetch.map_or(0.0, |beta| {
            f64::from(new.cost_ms) * beta * -(1.0 - self.random.unit()).ln()
        });
        let early = Duration::from_secs_f64(by_share.max(by_cost) / 1000.0);
        Duration::from_millis(new.soft_ms).saturating_sub(early)
    }

    /// Counts what became of a fill or extend, and gives the lease back where it may still stand.
    pub(crate) async fn settle(&self, lease: LeaseGuard<K, V>, filled: Result<Filled, Error>) -> bool {
        match filled {
            Ok(Filled { outcome: Ok(()), .. }) => {
                lease.spent();
                self.count(Count::Fills);
                true
            }
            Ok(Filled { outcome: Err(why), .. }) => {
                // Refused: not ours any more, or given back by the script.
                lease.spent();
                self.count(rejected(why));
                false
            }
            Err(error) => {
                self.count(Count::FillsFailed);
                if is_out_of_memory(&error) {
                    tracing::warn!(%error, "the store is out of memory: loaded values are served but not cached");
                }
                // Never sent again: if it ran, the token is gone from E and this does nothing.
                lease.release().await;
                false
            }
        }
    }

    /// The loader says that the previous value is still right.
    async fn extend(
        &self,
        key: &K,
        place: &Place,
        lease: Option<LeaseGuard<K, V>>,
        notes: Notes,
        cost: Duration,
        previous: Option<Lookup<V>>,
        leader: Option<&Leader<K, Outcome<V>>>,
    ) -> (Outcome<V>, Share) {
        let Some(previous) = previous else {
            let error = LoadError::Failed(Arc::new(NothingToKeep));
            self.count(error.count());
            return (self.failed(place, lease, error, None).await, Share::Members);
        };
        let ttl = notes.ttl.unwrap_or(self.settings.ttl.span());
        let outcome = Ok(Lookup::fresh(previous.into_value(), Tier::Source, ttl, ttl));
        let Some(lease) = lease else {
            return (outcome, Share::Members);
        };
        let (soft_ms, hard_ms) = self.spans(ttl, false);
        let step = Extend {
            keys: &place.keys,
            token: lease.token(),
            soft_ms,
            hard_ms,
            cost_ms: cost_ms(cost),
        };
        self.near.own_write(key, None);
        if let Some(leader) = leader {
            leader.fill_handed_on();
        }
        let filled = self.ask_healing(&step, &place.keys).await;
        self.near.own_write(key, None);
        let stored = self.settle(lease, filled).await;
        (outcome, if stored { Share::Adopted } else { Share::Members })
    }

    /// Soft and hard TTL in ms. The soft one lies in [(1 - jitter) * `ttl`, `ttl`], so that what was stored together
    /// does not expire together. The protocol allows a spread to both sides; this one goes downwards only, so that no value
    /// stays fresh for longer than was asked for. A "there is none" has no grace.
    pub(crate) fn spans(&self, ttl: Duration, negative: bool) -> (u64, u64) {
        if ttl >= crate::settings::IMMORTAL {
            return (millis(ttl), millis(ttl));
        }
        let spread = 1.0 - self.settings.jitter * self.random.unit();
        let soft = ttl.mul_f64(spread);
        let hard = if negative {
            soft
        } else {
            soft.saturating_add(self.settings.grace)
        };
        (millis(soft), millis(hard))
    }

    /// `value` as it goes into the store; `None` is "there is none".
    pub(crate) fn new_value(
        &self,
        place: &Place,
        value: Option<&V>,
        notes: &Notes,
        cost: Duration,
    ) -> Result<NewValue, Error> {
        let envelope = Envelope {
            schema: self.schema,
            source_version: notes.version,
            key: place.address.full(),
        };
        let encoded: Encoded = match value {
            Some(value) => self
                .settings
                .codec
                .encode(value, &envelope)
                .map_err(|source| Error::Encode {
                    key: self.label(place),
                    source,
                })?,
            None => self.settings.codec.encode_negative(&envelope),
        };
        let tags = self.tags(place, value, notes)?;
        let negative = value.is_none();
        let ttl = if negative {
            self.settings.negative_ttl
        } else {
            notes.ttl.unwrap_or(self.settings.ttl.span())
        };
        let (soft_ms, hard_ms) = self.spans(ttl, negative);
        let schema = self.schema.to_bytes();
        Ok(NewValue {
            soft_ms,
            hard_ms,
            encoded,
            version: notes.version,
            schema,
            cost_ms: cost_ms(cost),
            tags,
        })
    }

    fn tags(&self, place: &Place, value: Option<&V>, notes: &Notes) -> Result<Vec<String>, Error> {
        let mut tags = notes.tags.clone();
        if let (Some(find), Some(value)) = (&self.settings.tags, value) {
            tags.extend(find(value));
        }
        tags.sort_unstable();
        tags.dedup();
        let refuse = |why: String| {
            Err(Error::Tags {
                key: self.label(place),
                why,
            })
        };
        if tags.len() > MAX_TAGS {
            return refuse(format!("it has {} tags", tags.len()));
        }
        if let Some(bad) = tags.iter().find(|tag| tag.is_empty() || tag.len() > TAG_BYTES) {
            return refuse(format!("one of its tags has {} bytes", bad.len()));
        }
        Ok(tags)
    }
}

/// What a loader returned, on its way into the store.
struct Load<V> {
    loaded: Loaded<V>,
    notes: Notes,
    cost: Duration,
    previous: Option<Lookup<V>>,
}

/// A loader said "not modified" of nothing.
#[derive(Debug, thiserror::Error)]
#[error("the loader said `not_modified` where there was no previous value")]
struct NothingToKeep;

/// Why a load failed; of one key or of many.
pub(crate) enum LoadError {
    Failed(Arc<dyn StdError + Send + Sync>),
    Timeout(Duration),
    Panicked,
}

impl LoadError {
    /// What it counts as.
    pub(crate) const fn count(&self) -> Count {
        match self {
            Self::Failed(_) => Count::LoadErrors,
            Self::Timeout(_) => Count::LoadTimeouts,
            Self::Panicked => Count::LoadPanics,
        }
    }

    /// As the callers of `key` see it.
    pub(crate) fn to_error(&self, key: KeyLabel) -> Error {
        match self {
            Self::Timeout(limit) => Error::LoadTimeout { key, limit: *limit },
            Self::Panicked => Error::LoadPanicked { key },
            Self::Failed(source) => Error::Load {
                key,
                source: source.clone(),
            },
        }
    }
}

fn cost_ms(cost: Duration) -> u32 {
    u32::try_from(cost.as_millis()).unwrap_or(u32::MAX)
}

const fn rejected(why: Rejection) -> Count {
    match why {
        Rejection::Gone | Rejection::Empty => Count::FillsGone,
        Rejection::Superseded => Count::FillsSuperseded,
        Rejection::Cleared => Count::FillsCleared,
        Rejection::Older => Count::FillsOlder,
        Rejection::Tag => Count::FillsTag,
    }
}
