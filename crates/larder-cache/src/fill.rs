//! The end of a load: what came out of it goes into the store, if its lease still stands, and to whoever may share it.

use std::{sync::Arc, time::Duration};

use larder_base::CacheKey;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    CacheEvent, Error,
    coherence::Copied,
    context::{Kind, Loaded, Notes},
    core::{Core, Place, is_out_of_memory},
    encode::cost_ms,
    flight::{Leader, Share},
    found::{Lookup, Outcome, Tier},
    lease::LeaseGuard,
    load::Old,
    loader::LoadError,
    script::{Extend, Fill, Filled, NewValue, Rejection},
    stats::Count,
};

/// A load that has ended, with its lease and its flight, if it has any.
pub(crate) struct Filling<'a, K: CacheKey, V: Send + Sync + 'static> {
    pub(crate) core: &'a Core<K, V>,
    pub(crate) key: &'a K,
    pub(crate) place: &'a Place,
    pub(crate) lease: Option<LeaseGuard<K, V>>,
    pub(crate) leader: Option<&'a Leader<K, Outcome<V>>>,
    /// What the loader said beside the value.
    pub(crate) notes: Notes,
    /// How long the load took.
    pub(crate) cost: Duration,
    /// The value that it was to replace.
    pub(crate) old: Option<Old<V>>,
}

impl<K, V> Filling<'_, K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Stores what was loaded, or gives the lease back; says what the callers get, and which of them.
    pub(crate) async fn finish(self, loaded: Result<Loaded<V>, LoadError>) -> (Outcome<V>, Share) {
        match loaded.map(|loaded| loaded.0) {
            Ok(Kind::Value(value)) => self.keep(Some(Arc::new(value))).await,
            Ok(Kind::Absent) => self.keep(None).await,
            Ok(Kind::Unmodified) => self.extend().await,
            Err(error) => (self.fail(error).await, Share::Members),
        }
    }

    /// A failed load: what is left of the old value covers it.
    async fn fail(self, error: LoadError) -> Outcome<V> {
        let core = self.core;
        let now = core.now();
        if let Some(lease) = self.lease {
            lease.end(core.put_off(self.old.as_ref(), now)).await;
        }
        let Some(old) = self.old else {
            return Err(error.to_error(core.label(self.place)));
        };
        if old.only_if_failed {
            core.retries.note(self.key, now);
        }
        tracing::debug!(key = %core.label(self.place), "a load failed, and an older value is served");
        Ok(old.at(now))
    }

    /// Stores a value, or that there is none, if the lease still stands.
    async fn keep(mut self, value: Option<Arc<V>>) -> (Outcome<V>, Share) {
        let ttl = self.ttl(value.is_none());
        let outcome = Ok(Lookup::fresh(value.clone(), Tier::Source, ttl, ttl));
        let Some(lease) = self.lease.take() else {
            return (outcome, Share::Members);
        };
        let share = match self
            .core
            .new_value(self.place, value.as_deref(), &self.notes, self.cost)
        {
            Ok(new) => self.fill(lease, &new, value).await,
            Err(error) => {
                self.core.count(Count::FillsFailed);
                tracing::warn!(key = %self.core.label(self.place), %error, "a loaded value is served but not cached");
                lease.release().await;
                Share::Members
            }
        };
        (outcome, share)
    }

    fn ttl(&self, negative: bool) -> Duration {
        if negative {
            self.core.settings.negative_ttl
        } else {
            self.notes.ttl.unwrap_or(self.core.settings.ttl.span())
        }
    }

    /// Sends the fill, once.
    async fn fill(&self, lease: LeaseGuard<K, V>, new: &NewValue, value: Option<Arc<V>>) -> Share {
        let (core, place, token) = (self.core, self.place, lease.token());
        let marked = core.near.mark(self.key, place.address.partition);
        let writing = core.near.writing(std::slice::from_ref(self.key), Some(&marked));
        self.handed_on();
        let sent = core.now();
        let step = Fill {
            keys: &place.keys,
            token,
            value: new,
        };
        let filled = core.ask_healing(&step, &place.keys).await;
        writing.changed();
        if !core.settle(lease, filled).await {
            return Share::Members;
        }
        if place.address.is_reversible() {
            marked.install(Copied {
                value,
                uid: new.uid(token),
                tagged: !new.tags.is_empty(),
                sent,
                fresh_for: core.near_time(new),
            });
        }
        Share::Adopted
    }

    /// The loader says that the previous value is still right.
    async fn extend(mut self) -> (Outcome<V>, Share) {
        let Some(previous) = self.old.take() else {
            let error = LoadError::Failed(Arc::new(NothingToKeep));
            self.core.count(error.count());
            return (self.fail(error).await, Share::Members);
        };
        let ttl = self.ttl(false);
        let outcome = Ok(Lookup::fresh(previous.found.into_value(), Tier::Source, ttl, ttl));
        let Some(lease) = self.lease.take() else {
            return (outcome, Share::Members);
        };
        let (soft_ms, hard_ms) = self.core.spans(ttl, false);
        let step = Extend {
            keys: &self.place.keys,
            token: lease.token(),
            soft_ms,
            hard_ms,
            cost_ms: cost_ms(self.cost),
        };
        let writing = self.core.near.writing(std::slice::from_ref(self.key), None);
        self.handed_on();
        let filled = self.core.ask_healing(&step, &self.place.keys).await;
        writing.changed();
        let stored = self.core.settle(lease, filled).await;
        (outcome, if stored { Share::Adopted } else { Share::Members })
    }

    /// Whoever came until now shares what is about to be stored.
    fn handed_on(&self) {
        if let Some(leader) = self.leader {
            leader.fill_handed_on();
        }
    }
}

impl<K, V> Core<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// For how long nobody tries again to refresh `old`: the lease stays so long, and with it everybody's answer.
    pub(crate) fn put_off(&self, old: Option<&Old<V>>, now: Duration) -> Duration {
        old.map_or(Duration::ZERO, |old| old.served_for(now).min(self.settings.retry_after))
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
                self.events.tell(|| CacheEvent::FillRejected { why: why.into() });
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
}

/// A loader said "not modified" of nothing.
#[derive(Debug, thiserror::Error)]
#[error("the loader said `not_modified` where there was no previous value")]
struct NothingToKeep;

const fn rejected(why: Rejection) -> Count {
    match why {
        Rejection::Gone | Rejection::Empty => Count::FillsGone,
        Rejection::Superseded => Count::FillsSuperseded,
        Rejection::Cleared => Count::FillsCleared,
        Rejection::Older => Count::FillsOlder,
        Rejection::Tag => Count::FillsTag,
    }
}
