//! A write under write-behind: sent until the store has accepted it, as safely as was asked for.
//!
//! Every attempt of a write carries the same operation id, so that one whose answer was lost is answered by the version
//! that it was given the first time. Only when time is up is the outcome unknown.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use larder_base::{CacheKey, codec::Envelope, failpoint};
use larder_store::{ScriptCall, StoreError};
use serde::{Serialize, de::DeserializeOwned};

use super::{Ack, Behind, record, record::Kind, unknown};
use crate::{
    CacheEvent, Error, ErrorKind, Receipt, SinkError, Ticket, Version,
    core::{Core, Place, is_out_of_memory, is_unknown_outcome, is_wrong_type},
    mutant::{self, Mutant},
    owed::Owed,
    script::{BehindPut, BehindPutReply, Heal, OnlyIf, Step},
    settings::millis,
    sink::AnySink,
    stats::Count,
};

/// For how long a repeated operation is known: well above the time for which a write is tried.
pub(super) const OPERATION_KEPT: Duration = Duration::from_secs(60);

/// Writes per pipeline: they are sent in one piece, and everybody else on the connection waits for it.
const PIPELINE: usize = 200;

/// Between two attempts; jittered up to twice that.
const PAUSE: Duration = Duration::from_millis(10);

/// Attempts after time is up for a write that only needs an epoch or a connection, and may have been accepted already.
const LATE_MAX: u32 = 3;

/// How long replicas get to acknowledge one attempt: on a healthy network it takes a millisecond.
const REPLICATED_WITHIN: Duration = Duration::from_millis(500);

/// A write on its way.
pub(super) struct Writing {
    pub(super) place: Place,
    pub(super) kind: Kind,
    pub(super) change: Vec<u8>,
    operation: u128,
    /// An attempt's answer was lost.
    unknown: Option<Error>,
    only_if: Option<OnlyIf>,
}

/// Why an attempt has to be repeated.
pub(super) enum Again {
    /// Nothing is wrong with the store: at once.
    Now,
    /// After a pause.
    Later(Error),
}

/// What an attempt came to.
enum Attempt {
    Accepted(Version),
    /// Something else was read than what is there now.
    Changed,
    Again(Again),
}

impl<K, V> Core<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// The change of `key` to `value`, or its removal, before it is sent.
    pub(super) fn writing_behind(&self, key: &K, value: Option<&V>) -> Result<Writing, Error> {
        let place = self.place(key);
        let written = &place.address.written;
        let envelope = Envelope {
            schema: self.schema,
            source_version: 0,
            key: written.full(),
        };
        let encoded = value
            .map(|value| self.settings.codec.encode(value, &envelope))
            .transpose();
        let encoded = encoded.map_err(|source| {
            Error::from(ErrorKind::Encode {
                key: self.label(&place),
                source,
            })
        })?;
        let change = record::write(written, self.schema, encoded.as_ref());
        Ok(Writing {
            place,
            kind: if value.is_some() { Kind::Put } else { Kind::Remove },
            change,
            operation: self.draw_operation(),
            unknown: None,
            only_if: None,
        })
    }

    pub(super) fn draw_operation(&self) -> u128 {
        u128::from_be_bytes(self.random.bytes())
    }

    /// Has the store accept `changes`, each key once; `None` removes.
    pub(crate) async fn accept(
        self: &Arc<Self>,
        operation: &'static str,
        changes: &[(K, Option<&V>)],
    ) -> Result<Receipt, Error> {
        let mut receipt = Receipt::ACKNOWLEDGED;
        let mut failure = None;
        for chunk in changes.chunks(PIPELINE) {
            let keys: Vec<K> = chunk.iter().map(|(key, _)| key.clone()).collect();
            let writing = chunk.iter().map(|(key, value)| self.writing_behind(key, *value));
            let writing = writing.collect::<Result<Vec<_>, _>>()?;
            match self.accept_all(operation, &keys, writing).await {
                Ok(accepted) => receipt = receipt.and(accepted),
                Err(error) => _ = failure.get_or_insert(error),
            }
        }
        failure.map_or(Ok(receipt), Err)
    }

    /// The same if `only_if` still holds; `None` if not.
    pub(super) async fn accept_if(
        self: &Arc<Self>,
        key: &K,
        value: &V,
        only_if: OnlyIf,
    ) -> Result<Option<Receipt>, Error> {
        let mut writing = self.writing_behind(key, Some(value))?;
        writing.only_if = Some(only_if);
        match self
            .accept_all("update", std::slice::from_ref(key), vec![writing])
            .await
        {
            Ok(receipt) if receipt.tickets().is_empty() => Ok(None),
            accepted => accepted.map(Some),
        }
    }

    async fn accept_all(
        self: &Arc<Self>,
        operation: &'static str,
        keys: &[K],
        mut left: Vec<Writing>,
    ) -> Result<Receipt, Error> {
        let behind = self.behind_for(operation)?;
        let sink = self.sink_for(operation)?;
        let deadline = self.now().saturating_add(behind.settings.wait);
        self.agree().await;
        let entries: Vec<Owed> = left
            .iter()
            .map(|one| Owed::drop_of(one.place.keys.e().clone()))
            .collect();
        // A store that comes back without the write may have the entry that it dropped.
        self.note(&entries);
        let writing = self.writing(keys);
        let mut tickets = Vec::with_capacity(left.len());
        let (mut failure, mut late) = (None, 0);
        while !left.is_empty() {
            if let Err(error) = self.check_accepting(behind) {
                failure.get_or_insert(error);
                break;
            }
            let round = self.accept_once(
                behind,
                &*sink,
                operation,
                &mut left,
                &mut tickets,
                &mut failure,
                deadline,
            );
            match round.await {
                Ok(Again::Now) if self.now() < deadline => {}
                Ok(Again::Now) if late < LATE_MAX => late += 1,
                Ok(Again::Later(_)) if self.now() < deadline => self.pause_briefly().await,
                Ok(Again::Now) => {
                    // The store was another one each time.
                    let error = self.store_error(operation, unknown());
                    failure = failure.or_else(|| Some(self.given_up(operation, &left, error)));
                    break;
                }
                Ok(Again::Later(error)) | Err(error) => {
                    failure = failure.or_else(|| Some(self.given_up(operation, &left, error)));
                    break;
                }
            }
        }
        writing.changed();
        self.detach(keys);
        failpoint::reach("put accepted");
        failure.map_or_else(|| Ok(Receipt::accepted(behind.settings.ack, tickets)), Err)
    }

    pub(super) fn check_accepting(&self, behind: &Behind) -> Result<(), Error> {
        if behind.is_closing() {
            return Err(Error::from(ErrorKind::Closed {
                namespace: self.layout.namespace().clone(),
            }));
        }
        self.check_open()
    }

    /// Sends what is `left` once; takes out what was accepted, and what failed for good.
    async fn accept_once(
        &self,
        behind: &Behind,
        sink: &dyn AnySink<K, V>,
        operation: &'static str,
        left: &mut Vec<Writing>,
        tickets: &mut Vec<Ticket>,
        failure: &mut Option<Error>,
        deadline: Duration,
    ) -> Result<Again, Error> {
        let generation = match self.generation_text(behind).await {
            Ok(generation) => generation,
            Err(error) => return self.again_later(self.store_error(operation, error)),
        };
        let drawn: Vec<u64> = left.iter().map(|one| behind.epochs.drawn(one.partition())).collect();
        let pending = self.pending.version();
        let sent = self.now();
        failpoint::reach("put unsent");
        let replies = self.send_behind(behind, left, &generation).await;
        failpoint::reach("put unheard");
        // What was connected anew meanwhile may have taken the old epoch for its own.
        let is_same = self.is_still(&generation);
        let (mut again, mut epochless) = (None, BTreeSet::new());
        let mut kept = Vec::new();
        for ((mut one, reply), drawn) in left.drain(..).zip(replies).zip(drawn) {
            let reply = reply.map_err(|error| self.store_error(operation, error));
            let reply = reply.and_then(|value| self.parse::<BehindPut<'_>>(operation, value, sent));
            let partition = one.partition();
            if reply
                .as_ref()
                .is_ok_and(|(reply, _)| *reply == BehindPutReply::NeedEpoch)
            {
                epochless.insert((partition, drawn));
            }
            match self
                .judge(behind, &mut one, reply.map(|(reply, _)| reply), is_same)
                .await
            {
                Ok(Attempt::Accepted(version)) => {
                    tickets.push(Ticket { partition, version });
                    self.count(Count::BehindAccepted);
                    behind
                        .schedule
                        .note(partition, self.now().saturating_add(behind.settings.delay));
                    self.pending.overwritten(one.place.keys.e(), pending);
                }
                Ok(Attempt::Changed) => {}
                Ok(Attempt::Again(why)) => {
                    if let Again::Later(_) = why {
                        again = Some(why);
                    }
                    kept.push(one);
                }
                Err(error) => _ = failure.get_or_insert(error),
            }
        }
        *left = kept;
        for (partition, drawn) in epochless {
            let within = deadline.saturating_sub(self.now());
            if let Err(error) = self
                .draw_epoch(behind, sink, partition, &generation, drawn, within)
                .await
            {
                return self.again_later(error);
            }
        }
        Ok(again.unwrap_or(Again::Now))
    }

    async fn send_behind(
        &self,
        behind: &Behind,
        left: &mut [Writing],
        generation: &str,
    ) -> Vec<Result<redis::Value, StoreError>> {
        if mutant::lives(Mutant::M49) {
            left.iter_mut().for_each(|one| one.operation = self.draw_operation());
        }
        let calls: Vec<ScriptCall> = left
            .iter()
            .map(|one| self.put_behind_step(behind, one, generation))
            .collect();
        match behind.settings.ack {
            Ack::Replicated(replicas) => self.store.call_replicated(&calls, replicas, REPLICATED_WITHIN).await,
            Ack::Memory | Ack::Fsync => match &calls[..] {
                [call] => vec![self.store.call(call).await],
                calls => self.store.call_many(calls).await,
            },
        }
    }

    /// Runs one step, and has it as safe as was asked for.
    pub(super) async fn ask_as_safe<S: Step>(&self, behind: &Behind, step: &S) -> Result<S::Reply, Error> {
        let Ack::Replicated(replicas) = behind.settings.ack else {
            return self.ask(step).await;
        };
        let (sent, call) = (self.now(), step.call());
        let operation = call.script().name();
        let mut replies = self.store.call_replicated(&[call], replicas, REPLICATED_WITHIN).await;
        let reply = replies.pop().expect("there is a reply to each call");
        let reply = reply.map_err(|error| self.store_error(operation, error))?;
        self.parse::<S>(operation, reply, sent)
    }

    fn put_behind_step(&self, behind: &Behind, one: &Writing, generation: &str) -> ScriptCall {
        let settings = &behind.settings;
        BehindPut {
            keys: &behind.keys[usize::from(one.partition())],
            e: one.place.keys.e(),
            field: one.place.address.written.as_str().as_bytes(),
            kind: one.kind.number(),
            change: &one.change,
            delay_ms: millis(settings.delay),
            generation,
            max_entries: settings.max_entries as u64,
            max_bytes: settings.max_bytes as u64,
            operation: one.operation,
            operation_ms: millis(OPERATION_KEPT.max(settings.wait.saturating_mul(2))),
            log: self.logged(one.place.keys.e()),
            only_if: one.only_if,
        }
        .call()
    }

    /// What an answer means for one write.
    async fn judge(
        &self,
        behind: &Behind,
        one: &mut Writing,
        reply: Result<BehindPutReply, Error>,
        is_same: Option<bool>,
    ) -> Result<Attempt, Error> {
        let again = |error| Ok(Attempt::Again(Again::Later(error)));
        match reply {
            // Not connected any more: asked again, the store knows it, or is another one.
            Ok(BehindPutReply::Accepted(_)) if is_same.is_none() => {
                one.unknown = Some(self.store_error("put", unknown()));
                Ok(Attempt::Again(Again::Now))
            }
            Ok(BehindPutReply::Accepted(_)) if is_same == Some(false) => {
                // Its number may be one that was given out before: as an operation of its own it gets another.
                one.operation = self.draw_operation();
                Ok(Attempt::Again(Again::Now))
            }
            Ok(BehindPutReply::Accepted(version)) => Ok(Attempt::Accepted(version)),
            Ok(BehindPutReply::Changed) => Ok(Attempt::Changed),
            Ok(BehindPutReply::NeedEpoch) => Ok(Attempt::Again(Again::Now)),
            Ok(BehindPutReply::Full { entries, bytes }) => {
                self.events.tell(|| CacheEvent::BehindFull { entries, bytes });
                again(Error::from(ErrorKind::Backpressure {
                    key: self.label(&one.place),
                    entries,
                    bytes,
                    waited: behind.settings.wait,
                }))
            }
            Err(error) if is_wrong_type(&error) => {
                let mut keys = behind.keys[usize::from(one.partition())].typed();
                keys.push((one.place.keys.e().clone(), "string"));
                let dropped = self.ask(&Heal { keys }).await?;
                self.counters.add_many(Count::Healed, dropped.unsigned_abs());
                again(error)
            }
            Err(error) if is_unknown_outcome(&error) || is_unreplicated(&error) => {
                one.unknown = Some(error.clone());
                again(error)
            }
            // Flushing makes room for more.
            Err(error) if error.is_store_down() || is_out_of_memory(&error) => again(error),
            Err(error) => Err(error),
        }
    }

    /// Whether waiting may help.
    pub(super) fn again_later(&self, error: Error) -> Result<Again, Error> {
        let may_pass = match error.kind() {
            ErrorKind::Store { source, .. } => source.is_connection() || source.code().is_none(),
            ErrorKind::Sink { source, .. } => source.is_retryable() || SinkError::is_in_doubt(source),
            _ => false,
        };
        if may_pass { Ok(Again::Later(error)) } else { Err(error) }
    }

    /// Time is up: of a write whose answer was lost nobody knows, of others the cause is `error`.
    fn given_up(&self, operation: &'static str, left: &[Writing], error: Error) -> Error {
        let unknown = left.iter().find_map(|one| Some((one, one.unknown.clone()?)));
        unknown.map_or(error, |(one, lost)| self.outcome_unknown(operation, &one.place, lost))
    }

    pub(super) async fn pause_briefly(&self) {
        let jitter = self.random.below(PAUSE.as_micros() as u64);
        self.clock.sleep(PAUSE + Duration::from_micros(jitter)).await;
    }
}

impl Writing {
    pub(super) const fn partition(&self) -> u8 {
        self.place.address.partition
    }
}

pub(super) fn is_unreplicated(error: &Error) -> bool {
    matches!(error.store_error(), Some(StoreError::Unreplicated { .. }))
}
