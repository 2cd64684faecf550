//! The store's part of a batch: one `MGET` for all keys, then one pipeline of `get` for what it could not tell.

use std::{sync::Arc, time::Duration};

use larder_base::CacheKey;
use larder_store::ScriptCall;
use redis::Value;
use serde::{Serialize, de::DeserializeOwned};

use super::{Batch, Flight, Later, Led};
use crate::{
    Error, Lookup,
    acquire::Acquired,
    coherence::Marked,
    core::{Core, Lesson, Place},
    flight::Share,
    found::Outcome,
    layout::PARTITIONS,
    lease::LeaseGuard,
    load::Old,
    open::span,
    record::Record,
    script::{Get, Got, Lease, Mode, Step, Token},
    stats::Count,
};

/// Keys per command: an answer of thousands of values would hold up everybody else on the connection.
const BATCH: usize = 500;

/// A key to load, under a lease or without.
pub(super) struct ToLoad<K: CacheKey, V: Send + Sync + 'static> {
    pub(super) key: K,
    pub(super) place: Arc<Place>,
    /// Those who wait for it; nobody does in the background of an answer.
    pub(super) flight: Option<Flight<K, V>>,
    pub(super) lease: Option<LeaseGuard<K, V>>,
    pub(super) old: Option<Old<V>>,
    pub(super) bypass: bool,
}

impl<K: CacheKey, V: Send + Sync + 'static> ToLoad<K, V> {
    fn new(led: Led<K, V>, lease: Option<LeaseGuard<K, V>>, old: Option<Old<V>>) -> Self {
        Self {
            key: led.key,
            place: led.place,
            flight: Some((led.leader, led._member)),
            lease,
            old,
            bypass: false,
        }
    }

    /// Of a key of which nothing that is cached may be taken.
    fn past_the_store(led: Led<K, V>) -> Self {
        Self {
            bypass: true,
            ..Self::new(led, None, None)
        }
    }

    /// What may be served while it is loaded.
    pub(super) fn stale(&self) -> Option<&Lookup<V>> {
        let old = self.old.as_ref().filter(|old| !old.only_if_failed)?;
        Some(&old.found)
    }
}

/// What a batch's dealings with the store leave to do.
type Split<K, V> = (Vec<ToLoad<K, V>>, Vec<Later<K, V>>);

impl<K, V> Core<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Ends the flights of what is cached; gives back what is to be loaded, and what has to be asked for once more.
    pub(super) async fn acquire_many(self: &Arc<Self>, led: Vec<Led<K, V>>, batch: &mut Batch<K, V>) -> Split<K, V> {
        let (mut loads, mut later) = (Vec::new(), Vec::new());
        let mut led = led.into_iter();
        loop {
            let chunk: Vec<Led<K, V>> = led.by_ref().take(BATCH).collect();
            if chunk.is_empty() {
                return (loads, later);
            }
            let (quarantined, chunk): (Vec<_>, Vec<_>) =
                chunk.into_iter().partition(|led| self.is_quarantined(&led.place));
            if self.behind.is_some() {
                // On the way of a single read each is looked for among what waits to be flushed.
                later.extend(quarantined.into_iter().map(Led::later));
            } else {
                quarantined.iter().for_each(|led| led.leader.handed_on());
                loads.extend(quarantined.into_iter().map(ToLoad::past_the_store));
            }
            let rest = if self.fast.is_worth_it() {
                self.fast_many(chunk, batch).await
            } else {
                chunk
            };
            let (to_load, again) = self.lease_many(rest, batch).await;
            loads.extend(to_load);
            later.extend(again);
        }
    }

    /// `MGET` of all entries and of the M of each partition that they are in; gives back what `get` has to tell.
    async fn fast_many(self: &Arc<Self>, led: Vec<Led<K, V>>, batch: &mut Batch<K, V>) -> Vec<Led<K, V>> {
        led.iter().for_each(|led| led.leader.handed_on());
        let sent = self.now();
        let marks: Vec<Marked<K, V>> = led
            .iter()
            .map(|led| self.near.mark(&led.key, led.place.address.partition))
            .collect();
        let places: Vec<&Place> = led.iter().map(|led| &*led.place).collect();
        // A failure here is met again by the pipeline, which decides what to do about it.
        let Ok(found) = self.fast_read_many(&places, sent).await else {
            return led;
        };
        let mut rest = Vec::new();
        for ((led, marked), found) in led.into_iter().zip(marks).zip(found) {
            let opened = found.and_then(|(record, left)| Some((self.decode(&led.place, record).ok()?, left)));
            match opened {
                Some((opened, left)) if left > self.early_span(&opened) => {
                    self.count(Count::FastHits);
                    self.fast.note(Lesson::Fast);
                    self.install(&led.place, &marked, &opened, sent, left, true);
                    self.answer(led, self.fresh(&opened, left), batch);
                }
                _ => rest.push(led),
            }
        }
        rest
    }

    /// What of `places` is certain to be fresh, and for how long it stays so.
    async fn fast_read_many(
        &self,
        places: &[&Place],
        sent: Duration,
    ) -> Result<Vec<Option<(Record, Duration)>>, Error> {
        let nothing = || places.iter().map(|_| None).collect();
        let Some(now) = self.server.latest(sent) else {
            return Ok(nothing());
        };
        let mut command = redis::cmd("MGET");
        for place in places {
            command.arg(place.keys.e().as_ref());
        }
        // Where the M of each partition stands among those that are asked for.
        let mut metas = [None; PARTITIONS];
        let mut asked = 0;
        for place in places {
            metas[usize::from(place.address.partition)].get_or_insert_with(|| {
                command.arg(place.keys.m().as_ref());
                asked += 1;
                asked - 1
            });
        }
        let reply = self.store.run(&command).await;
        let mut items = match reply.map_err(|error| self.store_error("MGET", error))? {
            Value::Array(items) => items,
            _ => return Ok(nothing()),
        };
        let take = |place: &&Place, item: Option<Value>, metas_of: &[Value]| {
            let Some(Value::BulkString(bytes)) = item else {
                return None;
            };
            let Some(Value::BulkString(meta)) = metas_of.get(metas[usize::from(place.address.partition)]?) else {
                return None;
            };
            let record = Record::parse(bytes)?;
            let left = span(record.soft_at() - now);
            record.is_valid_now(meta, now).then_some((record, left))
        };
        let meta_items = items.split_off(places.len().min(items.len()));
        let mut items = items.into_iter();
        Ok(places
            .iter()
            .map(|place| take(place, items.next(), &meta_items))
            .collect())
    }

    /// One pipeline of `get lease`.
    async fn lease_many(self: &Arc<Self>, led: Vec<Led<K, V>>, batch: &mut Batch<K, V>) -> Split<K, V> {
        if led.is_empty() {
            return (Vec::new(), Vec::new());
        }
        let mut asked = Vec::with_capacity(led.len());
        let mut calls: Vec<ScriptCall> = Vec::with_capacity(led.len());
        for led in led {
            let token: Token = self.random.bytes();
            let marked = self.near.mark(&led.key, led.place.address.partition);
            let writing = self.near.writing(vec![led.key.clone()], Some(&marked));
            calls.push(self.lease_step(&led, token).call());
            led.leader.note_request(token);
            led.leader.handed_on();
            let guard = LeaseGuard::new(self, &led.key, &led.place, token);
            asked.push((led, marked, guard, writing));
        }
        let sent = self.now();
        let replies = self.store.call_many(&calls).await;
        let (mut loads, mut later) = (Vec::new(), Vec::new());
        for ((led, marked, guard, writing), reply) in asked.into_iter().zip(replies) {
            let got = reply
                .map_err(|error| self.store_error("get", error))
                .and_then(|value| self.parse::<Get>("get", value, sent));
            writing.answered(&got);
            match got {
                Ok(got) => self.leased(led, got, guard, &marked, sent, batch, &mut loads, &mut later),
                Err(error) => {
                    guard.spent();
                    self.unleased(led, error, batch, &mut loads, &mut later);
                }
            }
        }
        (loads, later)
    }

    fn lease_step(&self, led: &Led<K, V>, token: Token) -> Get {
        Get {
            keys: led.place.keys.clone(),
            mode: Mode::Lease,
            token,
            lease_ms: self.settings.lease_ms(),
            candidate: self.random.bytes(),
            replaces: led.leader.replaces,
            dirty: led.place.dirty.clone(),
        }
    }

    /// Sorts one answered key.
    #[expect(clippy::too_many_arguments, reason = "one key's parts and where it may go")]
    fn leased(
        self: &Arc<Self>,
        led: Led<K, V>,
        got: Got,
        guard: LeaseGuard<K, V>,
        marked: &Marked<K, V>,
        sent: Duration,
        batch: &mut Batch<K, V>,
        loads: &mut Vec<ToLoad<K, V>>,
        later: &mut Vec<Later<K, V>>,
    ) {
        let now = got.now;
        self.fast.note(got.state.lesson());
        if got.state.is_granted() {
            if self.refills.left(&led.key, self.now()).is_some() {
                // Its turn comes later, on the way of a single read; the lease goes back in the background.
                drop(guard);
                later.push(led.later());
                return;
            }
            let old = self.kept(&led, got, sent);
            loads.push(ToLoad::new(led, Some(guard), old));
            return;
        }
        guard.spent();
        match got.state {
            Lease::Hit(bytes) => match self.open(&led.place, bytes) {
                Ok(opened) => {
                    let left = span(opened.record.soft_at() - now);
                    self.install(&led.place, marked, &opened, sent, left, true);
                    self.answer(led, self.fresh(&opened, left), batch);
                }
                Err(_) => later.push(led.later()),
            },
            Lease::Stale(bytes) => match self.open(&led.place, bytes) {
                Ok(opened) => self.answer(led, self.stale(&opened, now), batch),
                Err(_) => later.push(led.later()),
            },
            Lease::Wait(_) => later.push(led.later()),
            Lease::Dirty(bytes) => {
                let outcome = self.dirty(&led.place, &bytes);
                self.end_with(led, outcome, batch);
            }
            _ if self.refills.left(&led.key, self.now()).is_some() => later.push(led.later()),
            _ => loads.push(ToLoad::new(led, None, None)),
        }
    }

    /// The value that came with a lease: it covers a failed load.
    fn kept(&self, led: &Led<K, V>, got: Got, sent: Duration) -> Option<Old<V>> {
        let only_if_failed = matches!(got.state, Lease::FallbackGranted(_));
        let (Lease::StaleGranted(bytes) | Lease::FallbackGranted(bytes)) = got.state else {
            return None;
        };
        let opened = self.open(&led.place, bytes).ok()?;
        let found = self.stale(&opened, got.now);
        Some(self.old(&opened, found, got.now, sent, only_if_failed))
    }

    /// One key whose `get` failed: again by itself where that can help, else as `on_store_down` says.
    fn unleased(
        &self,
        led: Led<K, V>,
        error: Error,
        batch: &mut Batch<K, V>,
        loads: &mut Vec<ToLoad<K, V>>,
        later: &mut Vec<Later<K, V>>,
    ) {
        if !error.is_store_down() {
            later.push(led.later());
            return;
        }
        match self.store_down(&led.key, error) {
            Ok(Acquired::Ready(found)) => self.answer(led, found, batch),
            Ok(_) if self.refills.left(&led.key, self.now()).is_some() => later.push(led.later()),
            Ok(_) => loads.push(ToLoad::past_the_store(led)),
            Err(error) => {
                led.leader.finish(Err(error.clone()), Share::Members);
                batch.put(led.key, Err(error));
            }
        }
    }

    fn answer(&self, led: Led<K, V>, found: Lookup<V>, batch: &mut Batch<K, V>) {
        self.end_with(led, Ok(found), batch);
    }

    fn end_with(&self, led: Led<K, V>, outcome: Outcome<V>, batch: &mut Batch<K, V>) {
        self.count_outcome(&outcome);
        led.leader.finish(outcome.clone(), Share::Members);
        batch.put(led.key, outcome);
    }

    /// What is cached of `keys`, without loading.
    pub(super) async fn look_many(&self, keys: Vec<K>, batch: &mut Batch<K, V>) {
        for chunk in keys.chunks(BATCH) {
            if let Err((keys, error)) = self.look_chunk(chunk, batch).await {
                for key in keys {
                    let outcome = match self.store_down(&key, error.clone()) {
                        Ok(Acquired::Ready(found)) => Ok(found),
                        Ok(_) => Ok(Lookup::missing()),
                        Err(error) => Err(error),
                    };
                    self.count_outcome(&outcome);
                    batch.put(key, outcome);
                }
            }
        }
    }

    async fn look_chunk(&self, keys: &[K], batch: &mut Batch<K, V>) -> Result<(), (Vec<K>, Error)> {
        let placed = keys.iter().map(|key| (key.clone(), self.place(key)));
        let (quarantined, placed): (Vec<_>, Vec<_>) = placed.partition(|(_, place)| self.is_quarantined(place));
        for (key, place) in quarantined {
            let waits = self.look_behind(&place).await;
            self.ended(key, waits.map(|found| found.unwrap_or_else(Lookup::missing)), batch);
        }
        if placed.is_empty() {
            return Ok(());
        }
        let marks: Vec<Marked<K, V>> = placed
            .iter()
            .map(|(key, place)| self.near.mark_copy(key, place.address.partition))
            .collect();
        if !self.fast.is_worth_it() {
            let all = placed.into_iter().zip(marks);
            let all = all.map(|((key, place), marked)| (key, place, marked)).collect();
            return self.peek_many(all, batch).await;
        }
        let sent = self.now();
        let places: Vec<&Place> = placed.iter().map(|(_, place)| place).collect();
        let fast = match self.fast_read_many(&places, sent).await {
            Ok(fast) => fast,
            Err(error) => return Err((placed.into_iter().map(|(key, _)| key).collect(), error)),
        };
        let mut rest = Vec::new();
        for (((key, place), marked), found) in placed.into_iter().zip(marks).zip(fast) {
            match found.and_then(|(record, left)| Some((self.decode(&place, record).ok()?, left))) {
                Some((opened, left)) => {
                    self.count(Count::FastHits);
                    self.fast.note(Lesson::Fast);
                    self.install(&place, &marked, &opened, sent, left, false);
                    self.found(key, self.fresh(&opened, left), batch);
                }
                None => {
                    self.fast.note(Lesson::Slow);
                    rest.push((key, place, marked));
                }
            }
        }
        self.peek_many(rest, batch).await
    }

    async fn peek_many(
        &self,
        rest: Vec<(K, Place, Marked<K, V>)>,
        batch: &mut Batch<K, V>,
    ) -> Result<(), (Vec<K>, Error)> {
        if rest.is_empty() {
            return Ok(());
        }
        let calls: Vec<ScriptCall> = rest.iter().map(|(_, place, _)| self.peek_step(place).call()).collect();
        let sent = self.now();
        let replies = self.store.call_many(&calls).await;
        let mut failed: Option<(Vec<K>, Error)> = None;
        for ((key, place, marked), reply) in rest.into_iter().zip(replies) {
            let got = reply.map_err(|error| self.store_error("get", error));
            match got.and_then(|value| self.parse::<Get>("get", value, sent)) {
                Ok(got) => {
                    let outcome = self.seen(&place, &marked, got, sent);
                    self.ended(key, outcome, batch);
                }
                Err(error) => match &mut failed {
                    Some((keys, _)) => keys.push(key),
                    None => failed = Some((vec![key], error)),
                },
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// What a peek saw.
    fn seen(&self, place: &Place, marked: &Marked<K, V>, got: Got, sent: Duration) -> Outcome<V> {
        let now = got.now;
        self.fast.note(got.state.lesson());
        Ok(match got.state {
            Lease::Dirty(bytes) => return self.dirty(place, &bytes),
            Lease::Hit(bytes) => self.open(place, bytes).map_or_else(
                |_| Lookup::missing(),
                |opened| {
                    let left = span(opened.record.soft_at() - now);
                    self.install(place, marked, &opened, sent, left, false);
                    self.fresh(&opened, left)
                },
            ),
            Lease::Stale(bytes) => self
                .open(place, bytes)
                .map_or_else(|_| Lookup::missing(), |opened| self.stale(&opened, now)),
            _ => Lookup::missing(),
        })
    }

    fn found(&self, key: K, found: Lookup<V>, batch: &mut Batch<K, V>) {
        self.ended(key, Ok(found), batch);
    }

    fn ended(&self, key: K, outcome: Outcome<V>, batch: &mut Batch<K, V>) {
        self.count_outcome(&outcome);
        batch.put(key, outcome);
    }
}
