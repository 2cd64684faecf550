//! One loader call for all missing keys of a batch, and one pipeline of fills.

use std::{collections::HashMap, sync::Arc, time::Duration};

use larder_base::CacheKey;
use larder_store::ScriptCall;
use serde::{Serialize, de::DeserializeOwned};
use tracing::Instrument as _;

use super::{Batch, Flight, ManyLoader, acquire::ToLoad};
use crate::{
    Lookup, Tier,
    coherence::{Copied, Marked},
    context::Notes,
    core::{Core, Place},
    flight::Share,
    found::Outcome,
    lease::{LeaseGuard, keep_all},
    loader::LoadError,
    own_write::OwnWrite,
    script::{Fill, NewValue, Release, Step},
    stats::Count,
};

/// A value to store, its flight still open.
struct ToFill<K: CacheKey, V: Send + Sync + 'static> {
    key: K,
    place: Arc<Place>,
    flight: Option<Flight<K, V>>,
    lease: LeaseGuard<K, V>,
    new: NewValue,
    value: Option<Arc<V>>,
    marked: Marked<K, V>,
}

impl<K, V> Core<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    pub(super) async fn load_many<L: ManyLoader<K, V>>(
        self: &Arc<Self>,
        loads: Vec<ToLoad<K, V>>,
        loader: &L,
        batch: &mut Batch<K, V>,
    ) {
        let keys: Vec<K> = loads.iter().map(|load| load.key.clone()).collect();
        let bypass = loads.iter().any(|load| load.bypass);
        let leases: Vec<&LeaseGuard<K, V>> = loads.iter().filter_map(|load| load.lease.as_ref()).collect();
        let (loaded, cost) = keep_all(self, &leases, self.run_many(keys, loader, bypass)).await;
        match loaded {
            Ok(values) => self.keep_many(loads, values, cost, batch).await,
            Err(error) => self.fail_many(loads, &error, batch).await,
        }
    }

    /// Runs the loader under the cap and the deadline; also says how long it took.
    async fn run_many<L: ManyLoader<K, V>>(
        &self,
        keys: Vec<K>,
        loader: &L,
        bypass: bool,
    ) -> (Result<Vec<(K, V)>, LoadError>, Duration) {
        let loading = match self.begin_load(keys.len(), bypass).await {
            Ok(loading) => loading,
            Err(full) => return (Err(full), Duration::ZERO),
        };
        let began = self.now();
        keys.iter().for_each(|key| self.refills.note(key, began));
        let span = tracing::debug_span!("load", namespace = %self.layout.namespace(), keys = keys.len());
        let loaded = self.within_limit(loader.load_many(keys)).instrument(span).await;
        let took = loading.ended(&loaded);
        (loaded, took)
    }

    /// Every key of a failed call: its lease ends, and what is left of its old value covers it.
    async fn fail_many(&self, loads: Vec<ToLoad<K, V>>, error: &LoadError, batch: &mut Batch<K, V>) {
        let now = self.now();
        let (mut leases, mut rest) = (Vec::with_capacity(loads.len()), Vec::with_capacity(loads.len()));
        for mut load in loads {
            let lease = load.lease.take();
            leases.extend(lease.map(|lease| (lease, self.put_off(load.old.as_ref(), now))));
            rest.push(load);
        }
        self.end_many(leases).await;
        for ToLoad {
            key,
            place,
            flight,
            old,
            ..
        } in rest
        {
            if old.as_ref().is_some_and(|old| old.only_if_failed) {
                self.retries.note(&key, now);
            }
            let found = old.map(|old| old.at(now));
            let outcome = found.ok_or_else(|| error.to_error(self.label(&place)));
            self.end(key, flight, outcome, Share::Members, batch);
        }
    }

    /// Gives leases back, or keeps them for a while without a load, in one pipeline.
    async fn end_many(&self, leases: Vec<(LeaseGuard<K, V>, Duration)>) {
        let end = |(lease, span): &(LeaseGuard<K, V>, Duration)| {
            if !span.is_zero() {
                return lease.keep_step(*span).call();
            }
            let (e, token) = (lease.e().clone(), lease.token());
            Release { e, token }.call()
        };
        let calls: Vec<ScriptCall> = leases.iter().map(end).collect();
        for ((lease, _), ended) in leases.into_iter().zip(self.store.call_many(&calls).await) {
            // Not ended: dropping the guard tries once more in the background.
            if ended.is_ok() {
                lease.given_back();
            }
        }
    }

    /// Stores what was loaded, each under its own lease, in one pipeline.
    async fn keep_many(&self, loads: Vec<ToLoad<K, V>>, values: Vec<(K, V)>, cost: Duration, batch: &mut Batch<K, V>) {
        let mut values: HashMap<K, Arc<V>, ahash::RandomState> =
            values.into_iter().map(|(key, value)| (key, Arc::new(value))).collect();
        // Each key bears its share: what one refresh of it would cost is not known better.
        let cost = cost / u32::try_from(loads.len()).unwrap_or(u32::MAX).max(1);
        let (mut fills, mut given_back) = (Vec::with_capacity(loads.len()), Vec::new());
        for ToLoad {
            key,
            place,
            flight,
            lease,
            ..
        } in loads
        {
            let value = values.remove(&key);
            let Some(lease) = lease else {
                let outcome = self.loaded(value);
                self.end(key, flight, outcome, Share::Members, batch);
                continue;
            };
            match self.new_value(&place, value.as_deref(), &Notes::default(), cost) {
                Ok(new) => {
                    let marked = self.near.mark(&key, place.address.partition);
                    fills.push(ToFill {
                        key,
                        place,
                        flight,
                        lease,
                        new,
                        value,
                        marked,
                    });
                }
                Err(error) => {
                    self.count(Count::FillsFailed);
                    tracing::warn!(key = %self.label(&place), %error, "a loaded value is served but not cached");
                    given_back.push((lease, Duration::ZERO));
                    let outcome = self.loaded(value);
                    self.end(key, flight, outcome, Share::Members, batch);
                }
            }
        }
        self.end_many(given_back).await;
        self.fill_many(fills, batch).await;
    }

    async fn fill_many(&self, fills: Vec<ToFill<K, V>>, batch: &mut Batch<K, V>) {
        if fills.is_empty() {
            return;
        }
        let step = |fill: &ToFill<K, V>| {
            Fill {
                keys: &fill.place.keys,
                token: fill.lease.token(),
                value: &fill.new,
            }
            .call()
        };
        let calls: Vec<ScriptCall> = fills.iter().map(step).collect();
        let begin = |fill: &ToFill<K, V>| {
            let writing = self.near.writing(vec![fill.key.clone()], Some(&fill.marked));
            if let Some((leader, _)) = &fill.flight {
                leader.fill_handed_on();
            }
            writing
        };
        let writes: Vec<_> = fills.iter().map(begin).collect();
        let sent = self.now();
        let replies = self.store.call_many(&calls).await;
        writes.into_iter().for_each(OwnWrite::changed);
        for (fill, reply) in fills.into_iter().zip(replies) {
            let ToFill {
                key,
                place,
                flight,
                lease,
                new,
                value,
                marked,
            } = fill;
            let token = lease.token();
            let filled = reply
                .map_err(|error| self.store_error("fill", error))
                .and_then(|value| self.parse::<Fill<'_>>("fill", value, sent));
            let stored = self.settle(lease, filled).await;
            if stored && place.address.is_reversible() {
                let fresh_for = self.near_time(&new);
                let (uid, tagged) = (new.uid(token), !new.tags.is_empty());
                marked.install(Copied {
                    value: value.clone(),
                    uid,
                    tagged,
                    sent,
                    fresh_for,
                });
            }
            let share = if stored { Share::Adopted } else { Share::Members };
            let outcome = self.loaded(value);
            self.end(key, flight, outcome, share, batch);
        }
    }

    fn loaded(&self, value: Option<Arc<V>>) -> Outcome<V> {
        let ttl = self.full_ttl(value.is_none());
        Ok(Lookup::fresh(value, Tier::Source, ttl, ttl))
    }

    /// Ends a flight, for this batch and for all who joined it.
    pub(super) fn end(
        &self,
        key: K,
        flight: Option<Flight<K, V>>,
        outcome: Outcome<V>,
        share: Share,
        batch: &mut Batch<K, V>,
    ) {
        if let Some((leader, _member)) = flight {
            self.count_outcome(&outcome);
            leader.finish(outcome.clone(), share);
        }
        batch.put(key, outcome);
    }
}
