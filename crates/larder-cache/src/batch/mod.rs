//! Many keys at once: one round trip for what is cached, one loader call for all that is missing, each key with its own
//! outcome. A batch leads the flights of its keys like any caller, so single reads and batches share loads.

mod acquire;
mod load;
mod loader;
mod result;

use std::{collections::HashSet, sync::Arc};

use futures_util::StreamExt as _;
use larder_base::CacheKey;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    core::{Core, Place},
    flight::{Leader, Member, Share, Turn},
    found::{Lookup, Outcome, Tier},
    stats::Count,
};

use acquire::ToLoad;
pub(crate) use loader::{CallMany, ManyLoader, NoLoader, SourceMany};
pub use result::Batch;

/// How many keys of a batch that others load are waited for at a time: each is one future of this caller.
const WAITING_AT_ONCE: usize = 64;

/// A key whose flight this batch leads.
struct Led<K: CacheKey, V: Send + Sync + 'static> {
    key: K,
    place: Arc<Place>,
    leader: Leader<K, Outcome<V>>,
    _member: Member<K, Outcome<V>>,
}

/// A flight that a batch leads, as one of its members.
type Flight<K, V> = (Leader<K, Outcome<V>>, Member<K, Outcome<V>>);

/// A key whose flight another leads, or that has to be asked for once more.
struct Later<K: CacheKey, V: Send + Sync + 'static> {
    key: K,
    member: Member<K, Outcome<V>>,
}

/// The keys of a batch, by who leads them.
type Joined<K, V> = (Vec<Led<K, V>>, Vec<Later<K, V>>);

impl<K: CacheKey, V: Send + Sync + 'static> Led<K, V> {
    /// Hands the lead back: the key goes the way of a single read.
    fn later(self) -> Later<K, V> {
        drop(self.leader);
        Later {
            key: self.key,
            member: self._member,
        }
    }
}

impl<K, V> Core<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    pub(crate) async fn get_many<L: ManyLoader<K, V>>(self: &Arc<Self>, keys: &[K], loader: &L) -> Batch<K, V> {
        let mut batch = Batch::with_capacity(keys.len());
        let missing = self.near_many(keys, &mut batch);
        if missing.is_empty() {
            return batch;
        }
        if !loader.loads() {
            self.look_many(missing, &mut batch).await;
            return batch;
        }
        let (led, mut later) = self.join_many(missing);
        later.extend(self.lead_many(led, loader, &mut batch).await);
        self.wait_many(later, loader, &mut batch).await;
        batch
    }

    /// What the near tier has; the other keys, each once.
    fn near_many(&self, keys: &[K], batch: &mut Batch<K, V>) -> Vec<K> {
        let now = self.coarse();
        let mut seen = HashSet::with_capacity_and_hasher(keys.len(), ahash::RandomState::new());
        let mut missing = Vec::with_capacity(keys.len());
        for key in keys {
            if !seen.insert(key) {
                continue;
            }
            match self.near.hit(key, now) {
                Some(entry) => {
                    self.count_near(entry.value().is_some());
                    let left = entry.deadline().saturating_sub(now);
                    let ttl = self.full_ttl(entry.value().is_none());
                    batch.put(
                        key.clone(),
                        Ok(Lookup::fresh(entry.into_value(), Tier::Near, left, ttl)),
                    );
                }
                None => missing.push(key.clone()),
            }
        }
        if self.near.has_near() {
            self.counters.add_many(Count::NearMisses, missing.len() as u64);
        }
        missing
    }

    fn join_many(self: &Arc<Self>, keys: Vec<K>) -> Joined<K, V> {
        let (mut led, mut later) = (Vec::with_capacity(keys.len()), Vec::new());
        for key in keys {
            let member = self.loads.join(&key);
            match member.try_turn() {
                Some(Turn::Lead(leader)) => {
                    let place = Arc::new(self.place(&key));
                    led.push(Led {
                        key,
                        place,
                        leader,
                        _member: member,
                    });
                }
                _ => later.push(Later { key, member }),
            }
        }
        (led, later)
    }

    /// Leads what is this batch's to lead; gives back what has to be asked for once more.
    async fn lead_many<L: ManyLoader<K, V>>(
        self: &Arc<Self>,
        led: Vec<Led<K, V>>,
        loader: &L,
        batch: &mut Batch<K, V>,
    ) -> Vec<Later<K, V>> {
        let (mut loads, later) = self.acquire_many(led, batch).await;
        if let Some(source) = loader.kept() {
            loads = self.refresh_many(loads, source, batch);
        }
        if !loads.is_empty() {
            self.load_many(loads, loader, batch).await;
        }
        later
    }

    /// Answers with what is stale and loads it again in the background; gives back what has to be waited for.
    fn refresh_many(
        self: &Arc<Self>,
        loads: Vec<ToLoad<K, V>>,
        source: SourceMany<K, V>,
        batch: &mut Batch<K, V>,
    ) -> Vec<ToLoad<K, V>> {
        let (mut stale, loads): (Vec<_>, Vec<_>) = loads.into_iter().partition(|load| load.stale().is_some());
        if stale.is_empty() {
            return loads;
        }
        for load in &mut stale {
            self.count(Count::Refreshes);
            let found = load.stale().cloned().map(Ok);
            let outcome = found.expect("it was just told apart by this");
            self.end(load.key.clone(), load.flight.take(), outcome, Share::Members, batch);
        }
        let core = self.clone();
        let refresh = async move {
            // Nobody waits for these outcomes.
            let mut unread = Batch::with_capacity(stale.len());
            core.load_many(stale, &source, &mut unread).await;
        };
        drop(self.tasks.spawn("refresh", refresh));
        loads
    }

    /// Waits for the loads of others, or goes the way of a single read where they come to nothing.
    async fn wait_many<L: ManyLoader<K, V>>(
        self: &Arc<Self>,
        later: Vec<Later<K, V>>,
        loader: &L,
        batch: &mut Batch<K, V>,
    ) {
        let waits = later.into_iter().map(|Later { key, member }| async move {
            let one = loader.one(&key);
            let outcome = self.fetch_as(member, &key, one).await;
            self.count_outcome(&outcome);
            (key, outcome)
        });
        let mut waits = futures_util::stream::iter(waits).buffer_unordered(WAITING_AT_ONCE);
        while let Some((key, outcome)) = waits.next().await {
            batch.put(key, outcome);
        }
    }
}
