//! Sending invalidations: again while that may help, and never forgotten (protocol 0, rule 7).

use std::{collections::VecDeque, sync::Arc, time::Duration};

use larder_base::{CacheKey, KeyLabel};
use larder_store::{ScriptCall, StoreError};
use redis::{RedisError, Value};
use tracing::Instrument as _;

use crate::{
    CacheEvent, Error, ErrorKind,
    core::{Core, Place},
    layout::{Changed, PARTITIONS, Partition},
    owed::{Deed, Owed, first_batch},
    script::{Close, Heal, Invalidate, InvalidateTags, MarkStale, Rotate, Step},
    stats::Count,
};

/// How often the caller of an invalidation waits for it: after that the recovery task goes on.
const ATTEMPTS: u32 = 3;

/// How long replicas get to acknowledge an invalidation, where that is asked for: on a healthy network it takes a
/// millisecond, and the caller waits.
const REPLICATED_WITHIN: Duration = Duration::from_millis(500);

/// Between two attempts, so that a connection may come back; jittered up to twice that.
const BACKOFF: Duration = Duration::from_millis(50);

/// Invalidations on their way to the store. What of them is not acknowledged when this is dropped, by a failure or because
/// the caller gave up waiting, is pending from then on.
struct Parcel<'a, K: CacheKey, V: Send + Sync + 'static> {
    core: &'a Core<K, V>,
    unsent: VecDeque<Owed>,
    failed: Vec<Owed>,
}

impl<K: CacheKey, V: Send + Sync + 'static> Drop for Parcel<'_, K, V> {
    fn drop(&mut self) {
        let mut left = std::mem::take(&mut self.failed);
        left.extend(self.unsent.drain(..));
        if !left.is_empty() {
            self.core.now_pending(&left);
        }
    }
}

impl<'a, K: CacheKey, V: Send + Sync + 'static> Parcel<'a, K, V> {
    fn new(core: &'a Core<K, V>, owed: Vec<Owed>) -> Self {
        core.note(&owed);
        Self {
            core,
            unsent: owed.into(),
            failed: Vec::new(),
        }
    }

    /// Sends until all is acknowledged or the attempts are used up.
    async fn deliver(mut self) -> Result<(), StoreError> {
        let deadline = self.core.now() + self.core.store.config().command_deadline();
        let mut attempts = 0;
        loop {
            let Some(error) = self.send().await else {
                return Ok(());
            };
            attempts += 1;
            if attempts == ATTEMPTS || !may_pass(&error) || self.core.now() >= deadline {
                return Err(error);
            }
            self.core.back_off().await;
        }
    }

    /// Sends everything once; the first failure.
    async fn send(&mut self) -> Option<StoreError> {
        let mut failure = None;
        while !self.unsent.is_empty() {
            let batch = first_batch(self.unsent.make_contiguous());
            let size = batch.len();
            let results = self.core.send_batch(batch).await;
            for (owed, result) in self.unsent.drain(..size).zip(results) {
                if let Err(error) = result {
                    self.failed.push(owed);
                    failure.get_or_insert(error);
                }
            }
        }
        self.unsent = std::mem::take(&mut self.failed).into();
        failure
    }
}

/// Whether the next attempt may fare better.
fn may_pass(error: &StoreError) -> bool {
    // A key of a wrong type has been dropped since.
    error.is_connection() || error.is_wrong_type()
}

type Results = Vec<Result<(), StoreError>>;

impl<K: CacheKey, V: Send + Sync + 'static> Core<K, V> {
    /// Sends until all is acknowledged or the attempts are used up; what is left then is pending.
    pub(crate) async fn deliver(&self, owed: Vec<Owed>) -> Result<(), StoreError> {
        let span = tracing::debug_span!("invalidate", namespace = %self.layout.namespace(), count = owed.len());
        if tracing::enabled!(tracing::Level::TRACE) {
            let keys = owed.iter().filter_map(|one| self.owed_label(one));
            span.in_scope(|| keys.for_each(|key| tracing::trace!(%key, "invalidating")));
        }
        Parcel::new(self, owed).deliver().instrument(span).await
    }

    /// The key of an invalidation, as it may be shown.
    fn owed_label(&self, owed: &Owed) -> Option<KeyLabel> {
        let Owed::Entry(e, _) = owed else { return None };
        match self.layout.changed(e)? {
            Changed::Entry(written) => {
                let written = std::str::from_utf8(written).ok()?;
                Some(KeyLabel::new(self.layout.namespace(), written))
            }
            Changed::Meta(_) => None,
        }
    }

    /// Drops what stands at the place of `key`, asked for once; if the store does not acknowledge it, it is pending.
    pub(crate) async fn discard(&self, key: &K, place: &Place) -> Result<(), Error> {
        let owed = vec![Owed::drop_of(place.keys.e().clone())];
        let writing = self.near.writing(std::slice::from_ref(key), None);
        let failure = Parcel::new(self, owed).send().await;
        writing.changed();
        failure.map_or(Ok(()), |error| Err(self.store_error("inv", error)))
    }

    /// Sends one batch, once; what became of each.
    pub(crate) async fn send_batch(&self, batch: &[Owed]) -> Results {
        self.agree().await;
        let results = match batch {
            [] => Vec::new(),
            [Owed::Entry(..), ..] => self.send_entries(batch).await,
            [Owed::Tag(_), ..] => {
                let sent = self.send_tags(batch).await;
                batch.iter().map(|_| sent.clone()).collect()
            }
            [Owed::All, ..] => vec![self.rotate().await],
        };
        let acknowledged = results.iter().filter(|result| result.is_ok()).count();
        self.counters.add_many(Count::Invalidations, acknowledged as u64);
        results
    }

    async fn send_entries(&self, batch: &[Owed]) -> Results {
        let calls: Vec<ScriptCall> = batch.iter().filter_map(|owed| self.entry_call(owed)).collect();
        let results = self.run_all(&calls).await;
        for (owed, result) in batch.iter().zip(&results) {
            if let (Owed::Entry(e, _), Err(error)) = (owed, result)
                && error.is_wrong_type()
            {
                self.drop_wrong(vec![(e.clone(), "string")]).await;
            }
        }
        results
    }

    fn entry_call(&self, owed: &Owed) -> Option<ScriptCall> {
        let Owed::Entry(e, deed) = owed else { return None };
        let (e, log) = (e.clone(), self.logged(e));
        Some(match *deed {
            Deed::Age => MarkStale { e, log }.call(),
            Deed::Drop => Invalidate { e, log }.call(),
            Deed::End(token) => Close { e, token, log }.call(),
        })
    }

    /// Bumps the stamps of all tags of a batch in every partition.
    async fn send_tags(&self, batch: &[Owed]) -> Result<(), StoreError> {
        let tags: Vec<String> = batch.iter().filter_map(tag).collect();
        let calls = self.layout.partitions().iter().map(|partition| {
            InvalidateTags {
                partition,
                random: self.random.bytes(),
                tags: &tags,
                log: self.logged_for_all(partition),
            }
            .call()
        });
        let mut failure = Ok(());
        let results = self.run_all(&calls.collect::<Vec<_>>()).await;
        for (partition, result) in self.layout.partitions().iter().zip(results) {
            if let Err(error) = result {
                if error.is_wrong_type() {
                    let Partition { m, t0, t1, .. } = partition;
                    let keys = [(m, "string"), (t0, "hash"), (t1, "hash")];
                    self.drop_wrong(keys.map(|(key, of)| (key.clone(), of)).to_vec()).await;
                }
                failure = failure.and(Err(error));
            }
        }
        failure
    }

    /// Drops what somebody else wrote over our keys, for the next attempt.
    async fn drop_wrong(&self, keys: Vec<(bytes::Bytes, &'static str)>) {
        if let Ok(dropped) = self.ask(&Heal { keys }).await {
            self.counters.add_many(Count::Healed, dropped.unsigned_abs());
        }
    }

    /// Reads each incarnation and replaces exactly that one: a late copy of the request changes nothing.
    async fn rotate(&self) -> Result<(), StoreError> {
        let mut command = redis::cmd("MGET");
        for partition in self.layout.partitions() {
            command.arg(partition.m.as_ref());
        }
        let metas = match self.store.run(&command).await? {
            Value::Array(metas) if metas.len() == PARTITIONS => metas,
            // Taken for "nothing to clear", any other answer would be a clear that did not happen.
            _ => {
                return Err(
                    RedisError::from((redis::ErrorKind::UnexpectedReturnType, "MGET answered with no list")).into(),
                );
            }
        };
        let partitions = self.layout.partitions().iter().zip(metas);
        let calls = partitions.filter_map(|(partition, meta)| {
            // Nothing is valid without an incarnation.
            let Value::BulkString(meta) = meta else { return None };
            let rotate = Rotate {
                partition,
                expected: *meta.first_chunk::<8>()?,
                new: self.random.bytes(),
                log: self.logged_for_all(partition),
            };
            Some(rotate.call())
        });
        let results = self.run_all(&calls.collect::<Vec<_>>()).await;
        results.into_iter().collect()
    }

    /// Runs `calls` in one round trip.
    async fn run_all(&self, calls: &[ScriptCall]) -> Results {
        let replicas = self.settings.wait_replicas;
        let replies = match calls {
            [] => return Vec::new(),
            calls if replicas > 0 => self.store.call_replicated(calls, replicas, REPLICATED_WITHIN).await,
            [call] => vec![self.store.call(call).await],
            calls => self.store.call_many(calls).await,
        };
        replies.into_iter().map(|reply| reply.map(drop)).collect()
    }

    async fn back_off(&self) {
        let jitter = self.random.below(BACKOFF.as_micros() as u64);
        self.clock.sleep(BACKOFF + Duration::from_micros(jitter)).await;
    }

    /// Quarantines what was not acknowledged; the recovery task sends it again.
    pub(crate) fn now_pending(&self, owed: &[Owed]) {
        self.counters.add_many(Count::InvalidationsPending, owed.len() as u64);
        let wide = self.pending.add(owed.iter().cloned());
        if let Some(keeper) = &self.keeper {
            keeper.add(owed);
        }
        self.events.tell(|| CacheEvent::Pending {
            waiting: self.pending.len() as u64,
        });
        // After that: whoever reads from here on sees the quarantine, and who read before keeps no copy.
        if wide {
            self.forget_everything();
        } else {
            owed.iter().for_each(|one| self.forget_owed(one));
        }
    }

    /// Notes what is about to be sent, for a store that comes back without it. An engine in process lives as long as its data.
    pub(crate) fn note(&self, owed: &[Owed]) {
        if !self.store.is_embedded() {
            self.ring.note(owed);
        }
    }
}

fn tag(owed: &Owed) -> Option<String> {
    match owed {
        Owed::Tag(tag) => Some(tag.to_string()),
        _ => None,
    }
}

/// As the caller of an invalidation sees it.
impl<K: CacheKey, V: Send + Sync + 'static> Core<K, V> {
    /// The outcome of an invalidation; of one that is pending, once it is kept, where that is asked for.
    pub(crate) async fn told<T>(&self, what: impl FnOnce() -> String, sent: Result<T, StoreError>) -> Result<T, Error> {
        match sent {
            Ok(done) => Ok(done),
            Err(source) => Err(self.pending_error(what(), Arc::new(source)).await.into()),
        }
    }

    pub(crate) async fn pending_error(&self, what: String, source: Arc<StoreError>) -> ErrorKind {
        let unkept = self.unkept().await;
        ErrorKind::Pending { what, source, unkept }
    }
}
