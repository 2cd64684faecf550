//! Storing without a loader: last writer wins in one script, for values that no source owns (protocol 1.3).

use std::{sync::Arc, time::Duration};

use larder_base::CacheKey;
use larder_store::ScriptCall;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error, ErrorKind, Receipt,
    coherence::Copied,
    context::Notes,
    core::{Core, Place, is_out_of_memory, is_unknown_outcome, is_wrong_type},
    lease::{LeaseGuard, poll_after},
    open::span,
    owed::Owed,
    pending::Version as PendingVersion,
    script::{Extend, Fill, Get, Got, Lease, Mode, NO_TOKEN, NewValue, Put, PutReply, Step, Token},
    stats::Count,
};

/// How often a lease is asked for whose answer was not seen.
const ATTEMPTS: u32 = 3;

/// Values per pipeline: they are sent in one piece, and everybody else on the connection waits for it.
const BATCH: usize = 200;

/// What one put says beside the value.
#[derive(Clone, Debug, Default)]
pub struct PutOptions {
    notes: Notes,
}

impl PutOptions {
    /// Gives the value a TTL of its own.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.notes.ttl = Some(ttl);
        self
    }

    /// Tags the value, beside what the cache's `tags` finds. At most 64 tags of 1 to 255 bytes.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.notes.tags.push(tag.into());
        self
    }

    pub(crate) fn into_notes(self) -> Notes {
        self.notes
    }
}

impl<K, V> Core<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Refuses a write that would store a copy of a row: between reading the row and storing it, the row may change.
    pub(crate) fn refuse_with_source(&self, operation: &'static str) -> Result<(), Error> {
        if self.source.is_none() {
            return Ok(());
        }
        Err(Error::from(ErrorKind::Refused {
            operation,
            why: "the cache has a source and no sink, so a stored copy could be older than the row",
            instead: "invalidate",
        }))
    }

    pub(crate) async fn put(self: &Arc<Self>, key: &K, value: V, notes: &Notes) -> Result<Receipt, Error> {
        if let Some(sink) = self.any_sink() {
            return self.commit_put(&*sink, key, value, notes).await;
        }
        self.refuse_with_source("put")?;
        let place = self.place(key);
        let new = self.new_value(&place, Some(&value), notes, Duration::ZERO)?;
        self.agree().await;
        // What runs or is cached in this process is older than what is about to be stored.
        let writing = self.writing(std::slice::from_ref(key));
        let version = self.pending.version();
        let mut reply = self.ask(&self.put_step(&place, self.random.bytes(), &new)).await;
        if reply.as_ref().is_err_and(is_wrong_type) {
            self.heal(&place.keys).await?;
            // The failed one stored nothing; what it may have drawn is not drawn again.
            reply = self.ask(&self.put_step(&place, self.random.bytes(), &new)).await;
        }
        writing.changed();
        self.detach(std::slice::from_ref(key));
        self.put_done(&place, reply, version).await?;
        Ok(Receipt::ACKNOWLEDGED)
    }

    fn put_step<'a>(&self, place: &'a Place, token: Token, value: &'a NewValue) -> Put<'a> {
        Put {
            keys: &place.keys,
            token,
            value,
            candidate: self.random.bytes(),
            log: self.logged(place.keys.e()),
        }
    }

    /// What became of a put.
    async fn put_done(
        &self,
        place: &Place,
        reply: Result<PutReply, Error>,
        version: PendingVersion,
    ) -> Result<(), Error> {
        match reply {
            Ok(PutReply { held_ms: None, .. }) => {
                self.pending.overwritten(place.keys.e(), version);
                self.count(Count::Puts);
                Ok(())
            }
            Ok(PutReply {
                held_ms: Some(left), ..
            }) => Err(Error::from(ErrorKind::Held {
                key: self.label(place),
                left: span(left),
            })),
            Err(error) if is_out_of_memory(&error) => {
                // The old value is still there, and the caller has a newer one.
                let dropped = self.deliver(vec![Owed::drop_of(place.keys.e().clone())]).await;
                self.told(|| "one key".to_owned(), dropped).await?;
                Err(Error::from(ErrorKind::StoreFull { key: self.label(place) }))
            }
            Err(error) if is_unknown_outcome(&error) => Err(self.outcome_unknown("put", place, error)),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn outcome_unknown(&self, operation: &'static str, place: &Place, error: Error) -> Error {
        error.map_store(|source| ErrorKind::OutcomeUnknown {
            operation,
            key: self.label(place),
            source,
        })
    }

    /// Puts many values in pipelines; each with its own outcome, and the first failure is reported.
    pub(crate) async fn put_many(self: &Arc<Self>, values: Vec<(K, V)>) -> Result<Receipt, Error> {
        if let Some(sink) = self.any_sink() {
            return self.commit_put_many(&*sink, values).await;
        }
        self.refuse_with_source("put_many")?;
        let mut failure = None;
        for chunk in values.chunks(BATCH) {
            let keys: Vec<K> = chunk.iter().map(|(key, _)| key.clone()).collect();
            let places: Vec<Place> = keys.iter().map(|key| self.place(key)).collect();
            self.agree().await;
            let mut calls: Vec<ScriptCall> = Vec::with_capacity(chunk.len());
            for (place, (_, value)) in places.iter().zip(chunk) {
                let new = self.new_value(place, Some(value), &Notes::default(), Duration::ZERO)?;
                calls.push(self.put_step(place, self.random.bytes(), &new).call());
            }
            let writing = self.writing(&keys);
            let (sent, version) = (self.now(), self.pending.version());
            let replies = self.store.call_many(&calls).await;
            writing.changed();
            self.detach(&keys);
            for (place, reply) in places.iter().zip(replies) {
                let reply = reply.map_err(|error| self.store_error("put", error));
                let reply = reply.and_then(|value| self.parse::<Put<'_>>("put", value, sent));
                if let Err(error) = self.put_done(place, reply, version).await {
                    failure.get_or_insert(error);
                }
            }
        }
        failure.map_or(Ok(Receipt::ACKNOWLEDGED), Err)
    }

    /// Removes values: from the source and the cache, or from the cache alone.
    pub(crate) async fn remove(self: &Arc<Self>, keys: &[K], operation: &'static str) -> Result<Receipt, Error> {
        if let Some(sink) = self.any_sink() {
            return self.commit_remove(&*sink, keys).await;
        }
        self.refuse_with_source(operation)?;
        Receipt::of(self.invalidate_and_tell(keys).await)
    }

    /// Stores a value where none is cached; whether it did. A lease decides between several callers.
    pub(crate) async fn put_if_absent(self: &Arc<Self>, key: &K, value: V, notes: &Notes) -> Result<bool, Error> {
        if self.sink.is_some() {
            return Err(Error::from(ErrorKind::Refused {
                operation: "put_if_absent",
                why: "only the source knows whether it has a value, and what is cached says nothing of that",
                instead: "insert",
            }));
        }
        self.refuse_with_source("put_if_absent")?;
        let place = Arc::new(self.place(key));
        let new = self.new_value(&place, Some(&value), notes, Duration::ZERO)?;
        if self.is_quarantined(&place) {
            // What is there does not count, but only the store can drop it.
            self.discard(key, &place).await?;
        }
        let mut replaced_negative = false;
        let (got, lease) = match self.lease(key, &place, Mode::Lease).await? {
            // "There is none" is no value: refresh it ahead of its time, with a value.
            (got, None) if is_negative(&got) => {
                replaced_negative = true;
                self.lease(key, &place, Mode::Early).await?
            }
            answered => answered,
        };
        let Some(lease) = lease else { return Ok(false) };
        let is_absent = matches!(got.state, Lease::Granted | Lease::FallbackGranted(_)) || replaced_negative;
        if !is_absent {
            lease.release().await;
            return Ok(false);
        }
        let (token, sent) = (lease.token(), self.now());
        let marked = self.near.mark(key, place.address.partition);
        let writing = self.near.writing(std::slice::from_ref(key), Some(&marked));
        let filled = self
            .ask_healing(
                &Fill {
                    keys: &place.keys,
                    token,
                    value: &new,
                },
                &place.keys,
            )
            .await;
        writing.changed();
        if let Err(error) = &filled {
            let error = error.clone();
            let full = is_out_of_memory(&error);
            lease.release().await;
            return Err(if full {
                Error::from(ErrorKind::StoreFull {
                    key: self.label(&place),
                })
            } else if is_unknown_outcome(&error) {
                self.outcome_unknown("put_if_absent", &place, error)
            } else {
                error
            });
        }
        let stored = self.settle(lease, filled).await;
        if stored {
            self.count(Count::Puts);
            let (uid, tagged, fresh_for) = (new.uid(token), !new.tags.is_empty(), self.near_time(&new));
            if place.address.is_reversible() {
                marked.install(Copied {
                    value: Some(Arc::new(value)),
                    uid,
                    tagged,
                    sent,
                    fresh_for,
                });
            }
        }
        Ok(stored)
    }

    /// Gives what is cached a new TTL; whether anything was.
    pub(crate) async fn touch(self: &Arc<Self>, key: &K, ttl: Duration) -> Result<bool, Error> {
        let place = Arc::new(self.place(key));
        if self.is_quarantined(&place) {
            return Ok(false);
        }
        let (got, lease) = self.lease(key, &place, Mode::Early).await?;
        let Some(lease) = lease else { return Ok(false) };
        if !matches!(got.state, Lease::FreshGranted(_) | Lease::StaleGranted(_)) || is_negative(&got) {
            lease.release().await;
            return Ok(false);
        }
        let (soft_ms, hard_ms) = self.spans(ttl, false);
        let step = Extend {
            keys: &place.keys,
            token: lease.token(),
            soft_ms,
            hard_ms,
            cost_ms: 0,
        };
        let writing = self.near.writing(std::slice::from_ref(key), None);
        let extended = self.ask_healing(&step, &place.keys).await;
        writing.changed();
        Ok(self.settle(lease, extended).await)
    }

    /// The lease of `key`, waited for while another has it; `None` beside an answer that grants none.
    pub(crate) async fn lease(
        self: &Arc<Self>,
        key: &K,
        place: &Arc<Place>,
        mode: Mode,
    ) -> Result<(Got, Option<LeaseGuard<K, V>>), Error> {
        let (began, mut attempts, mut replaces) = (self.now(), 0, NO_TOKEN);
        loop {
            let token: Token = self.random.bytes();
            let marked = self.near.mark(key, place.address.partition);
            let guard = LeaseGuard::new(self, key, place, token);
            let writing = self.near.writing(std::slice::from_ref(key), Some(&marked));
            let step = Get {
                keys: place.keys.clone(),
                mode,
                token,
                lease_ms: self.settings.lease_ms(),
                candidate: self.random.bytes(),
                replaces,
                dirty: place.dirty.clone(),
            };
            let got = self.ask_healing(&step, &place.keys).await;
            writing.answered(&got);
            let got = match got {
                Ok(got) => got,
                Err(error) => {
                    guard.spent();
                    attempts += 1;
                    if !is_unknown_outcome(&error) || attempts == ATTEMPTS {
                        return Err(error);
                    }
                    replaces = token;
                    continue;
                }
            };
            if got.state.is_granted() {
                return Ok((got, Some(guard)));
            }
            guard.spent();
            let left = match (&got.state, mode) {
                (Lease::Wait(left), _) => span(*left),
                // Another refreshes it: after that it can be touched.
                (Lease::Hit(_) | Lease::Stale(_), Mode::Early) => self.settings.lease,
                (Lease::Held(left), _) => {
                    return Err(Error::from(ErrorKind::Held {
                        key: self.label(place),
                        left: span(*left),
                    }));
                }
                _ => return Ok((got, None)),
            };
            if self.now().saturating_sub(began) >= self.settings.wait_budget() {
                return Ok((got, None));
            }
            let poll = poll_after(&self.random, left);
            let _woken = self.clock.timeout(poll, marked.touched()).await;
        }
    }
}

/// Whether a record that came with an answer says "there is none".
fn is_negative(got: &Got) -> bool {
    let (Lease::Hit(bytes)
    | Lease::Stale(bytes)
    | Lease::Fallback(bytes)
    | Lease::StaleGranted(bytes)
    | Lease::FreshGranted(bytes)
    | Lease::FallbackGranted(bytes)) = &got.state
    else {
        return false;
    };
    bytes
        .get(3)
        .is_some_and(|flags| flags & larder_base::codec::FLAG_NEGATIVE != 0)
}
