//! A read past the near tier: local single flight, then the store, then the load.

use std::sync::Arc;

use larder_base::CacheKey;
use larder_near::Entry;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error, ErrorKind,
    acquire::{Acquire, Acquired},
    coherence::Copied,
    core::{Core, Lesson, Place},
    flight::{Leader, Member, Share, Turn},
    found::{Freshness, Lookup, Outcome, Tier},
    load::Job,
    loader::{LoadError, Loader},
    open::Unusable,
    open::span,
    script::{Get, Lease, Mode, NO_TOKEN, Revalidate, Revalidated},
    stats::Count,
};

impl<K, V> Core<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// The near tier's answer, in doubt or not at all: everything but the hit path.
    pub(crate) async fn read<L: Loader<K, V>>(self: &Arc<Self>, key: &K, loader: Option<L>) -> Outcome<V> {
        if self.near.has_near() {
            self.count(Count::NearMisses);
        }
        let outcome = match loader {
            Some(loader) => self.fetch(key, loader).await,
            None => self.peek(key).await,
        };
        self.count_outcome(&outcome);
        outcome
    }

    /// A read that loads what is missing.
    async fn fetch<L: Loader<K, V>>(self: &Arc<Self>, key: &K, loader: L) -> Outcome<V> {
        let member = self.loads.join(key);
        self.fetch_as(member, key, loader).await
    }

    /// As a member of a flight: waits for its outcome, or leads it.
    pub(crate) async fn fetch_as<L: Loader<K, V>>(
        self: &Arc<Self>,
        member: Member<K, Outcome<V>>,
        key: &K,
        loader: L,
    ) -> Outcome<V> {
        let mut loader = Some(loader);
        let mut led = false;
        loop {
            match member.turn().await {
                Turn::Done(outcome) => {
                    if !led {
                        self.count(Count::Shared);
                    }
                    return outcome;
                }
                Turn::Lead(leader) => {
                    led = true;
                    self.check_open()?;
                    let Some(loader) = L::take(&mut loader) else {
                        // The cache's own task went down with the loader in it.
                        return Err(LoadError::Panicked.to_error(self.label(&self.place(key))));
                    };
                    if let Some(outcome) = self.lead(key, leader, loader).await {
                        return outcome;
                    }
                }
            }
        }
    }

    /// Leads a flight; `None` if it goes on on a task.
    async fn lead<L: Loader<K, V>>(
        self: &Arc<Self>,
        key: &K,
        leader: Leader<K, Outcome<V>>,
        loader: L,
    ) -> Option<Outcome<V>> {
        let place = Arc::new(self.place(key));
        let acquired = if self.is_quarantined(&place) {
            // Who comes from now on joins the next flight, as after a request to the store.
            leader.handed_on();
            self.past_the_store(&place).await
        } else {
            Acquire::new(self, key, &place, &leader).run().await
        };
        let job = |lease, old, bypass, leader| Job {
            key: key.clone(),
            place: place.clone(),
            lease,
            old,
            bypass,
            leader,
        };
        match acquired {
            Err(error) => {
                leader.finish(Err(error.clone()), Share::Members);
                Some(Err(error))
            }
            Ok(Acquired::Ready(found)) => {
                leader.finish(Ok(found.clone()), Share::Members);
                Some(Ok(found))
            }
            Ok(Acquired::Refresh(old, lease)) => {
                self.count(Count::Refreshes);
                if old.found.is_stale() && self.settings.soft_deadline.is_some() {
                    // All wait for something better, for so long.
                    return loader.run(self, job(Some(lease), Some(old), false, Some(leader))).await;
                }
                // The others have their answer; the refresh is nobody's flight.
                let found = old.found.clone();
                leader.finish(Ok(found.clone()), Share::Members);
                let job = job(Some(lease), Some(old), false, None);
                Some(Ok(loader.refresh(self, job, found).await))
            }
            Ok(Acquired::Load { lease, old, bypass }) => loader.run(self, job(lease, old, bypass, Some(leader))).await,
        }
    }

    /// A read that loads nothing, shared by those who came before its request.
    async fn peek(self: &Arc<Self>, key: &K) -> Outcome<V> {
        let member = self.peeks.join(key);
        match member.turn().await {
            Turn::Done(outcome) => {
                self.count(Count::Shared);
                outcome
            }
            Turn::Lead(leader) => {
                leader.handed_on();
                let outcome = self.look(key).await;
                leader.finish(outcome.clone(), Share::Members);
                outcome
            }
        }
    }

    /// What the store has of `key`, without leave to load it.
    pub(crate) async fn look(&self, key: &K) -> Outcome<V> {
        let place = self.place(key);
        if self.is_quarantined(&place) {
            return Ok(self.look_behind(&place).await?.unwrap_or_else(Lookup::missing));
        }
        match self.look_at(key, &place).await {
            Err(error) if error.is_store_down() => match self.store_down(key, error)? {
                Acquired::Ready(found) => Ok(found),
                // Without a loader there is nowhere to go.
                _ => Ok(Lookup::missing()),
            },
            outcome => outcome,
        }
    }

    async fn look_at(&self, key: &K, place: &Place) -> Outcome<V> {
        if let Some(copy) = self.near.doubtful(key, self.coarse())
            && let Some(found) = self.revalidate(key, place, copy).await
        {
            return Ok(found);
        }
        let marked = self.near.mark_copy(key, place.address.partition);
        let tries_fast = self.fast.is_worth_it();
        let sent = self.now();
        if tries_fast && let Some((record, soft_left)) = self.fast_read(place, sent).await? {
            self.fast.note(Lesson::Fast);
            return match self.decode(place, record) {
                Ok(opened) => {
                    self.count(Count::FastHits);
                    self.install(place, &marked, &opened, sent, soft_left, false);
                    Ok(self.fresh(&opened, soft_left))
                }
                Err(unusable) => self.unusable(key, place, unusable).await,
            };
        }
        let sent = self.now();
        let got = self.ask_healing(&self.peek_step(place), &place.keys).await?;
        let now = got.now;
        self.fast
            .note(if tries_fast { Lesson::Slow } else { got.state.lesson() });
        let (bytes, is_fresh) = match got.state {
            Lease::Hit(bytes) => (bytes, true),
            Lease::Stale(bytes) => (bytes, false),
            Lease::Dirty(bytes) => return self.dirty(place, &bytes),
            // A fallback serves only where a load failed, and here nobody loads.
            _ => return Ok(Lookup::missing()),
        };
        match self.open(place, bytes) {
            Ok(opened) if is_fresh => {
                let soft_left = span(opened.record.soft_at() - now);
                self.install(place, &marked, &opened, sent, soft_left, false);
                Ok(self.fresh(&opened, soft_left))
            }
            Ok(opened) => Ok(self.stale(&opened, now)),
            Err(unusable) => self.unusable(key, place, unusable).await,
        }
    }

    pub(crate) fn peek_step(&self, place: &Place) -> Get {
        Get {
            keys: place.keys.clone(),
            mode: Mode::Peek,
            token: NO_TOKEN,
            lease_ms: self.settings.lease_ms(),
            candidate: [0; 8],
            replaces: NO_TOKEN,
            dirty: place.dirty.clone(),
        }
    }

    async fn unusable(&self, key: &K, place: &Place, unusable: Unusable) -> Outcome<V> {
        if unusable == Unusable::Corrupt {
            self.discard(key, place).await?;
        }
        Ok(Lookup::missing())
    }

    /// A near copy that is in doubt since something happened to its partition: the store says whether it still holds,
    /// without sending the value again.
    pub(crate) async fn revalidate(&self, key: &K, place: &Place, copy: Entry<V>) -> Option<Lookup<V>> {
        let marked = self.near.mark(key, place.address.partition);
        let stamp = copy.stamp();
        let uid = stamp.uid.to_be_bytes();
        let sent = self.now();
        let soft_left = match self.ask(&Revalidate { keys: &place.keys, uid }).await {
            Ok(Revalidated::Same { soft_left, .. }) => soft_left,
            Ok(Revalidated::Other { record, now }) => {
                let opened = self.open(place, record).ok()?;
                let soft_left = span(opened.record.soft_at() - now);
                self.install(place, &marked, &opened, sent, soft_left, true);
                return Some(self.fresh(&opened, soft_left));
            }
            // A failure is met again on the long way, which decides what to do about it.
            Ok(Revalidated::No { .. }) | Err(_) => return None,
        };
        self.count(Count::Revalidated);
        let soft_left = span(soft_left);
        let value = copy.into_value();
        marked.install(Copied {
            value: value.clone(),
            uid,
            tagged: stamp.tagged,
            sent,
            fresh_for: soft_left,
        });
        let ttl = self.full_ttl(value.is_none());
        Some(Lookup::fresh(value, Tier::Store, soft_left, ttl))
    }

    /// Whether a read must do without what is cached, because an invalidation of it is not acknowledged.
    pub(crate) fn is_quarantined(&self, place: &Place) -> bool {
        let quarantined = self.pending.quarantines(place.keys.e());
        if quarantined {
            self.count(Count::QuarantinedReads);
        }
        quarantined
    }

    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if self.tasks.stopping().is_cancelled() {
            return Err(Error::from(ErrorKind::Closed {
                namespace: self.layout.namespace().clone(),
            }));
        }
        Ok(())
    }

    /// Counts an answer that did not come from the near tier.
    pub(crate) fn count_outcome(&self, outcome: &Outcome<V>) {
        let Ok(found) = outcome else {
            self.count(Count::StoreMisses);
            return;
        };
        self.count(match (found.freshness(), found.tier()) {
            (_, Tier::Source) | (Freshness::Missing, _) => Count::StoreMisses,
            (_, Tier::Behind) => Count::BehindHits,
            (Freshness::Negative, _) => Count::NegativeHits,
            (Freshness::Stale, Tier::Near) => Count::NearStale,
            (Freshness::Stale, _) => Count::StaleHits,
            (Freshness::Fresh, _) => Count::StoreHits,
        });
        if found.is_stale() {
            self.note_staleness(found);
        }
    }
}
