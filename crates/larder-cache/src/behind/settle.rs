//! From records to the source: one commit for a batch, and an acknowledgement of exactly the versions that it committed.
//!
//! What the source cannot take now is given back and due at once, be it down or not set up for it; of what nobody knows
//! whether it was committed, too, for the source passes over what it has. A batch that it refuses for good is halved until the change is found that it refuses:
//! that one goes to the dead letters, the others flow.

use std::{ops::Range, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;
use larder_base::{CacheKey, failpoint};
use larder_store::StoreError;
use redis::Value;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Behind, Map,
    letters::Buried,
    record::{self, NO_VERSION, Record},
};
use crate::{
    Change, Counted, Error, ErrorKind, SinkError, SinkErrorKind,
    channel::Change as Changed,
    core::Core,
    mutant::{self, Mutant},
    script::{BehindAck, Step},
    stats::Count,
};

/// How often an acknowledgement is sent: after that the changes are due again, and committed again to no effect.
const ACKS: u32 = 3;

/// One record that is to be flushed.
pub(super) struct Item {
    pub(super) partition: u8,
    /// The key, as it stands in D.
    pub(super) field: Vec<u8>,
    pub(super) record: Vec<u8>,
}

impl Item {
    pub(super) fn version(&self) -> &[u8] {
        record::version_bytes(&self.record)
    }
}

/// What a batch asks of the source.
pub(super) enum Batch<'a, K, V> {
    Values(&'a [Change<K, V>]),
    Counts(&'a [Counted<K>]),
}

// Derived, they would ask for them of `K` and `V`.
impl<K, V> Clone for Batch<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Batch<'_, K, V> {}

/// Changes that are still to be flushed, and why.
pub(super) struct Failure {
    pub(super) changes: u64,
    pub(super) error: Error,
}

impl Failure {
    fn of(changes: usize, error: Error) -> Self {
        let changes = changes as u64;
        Self { changes, error }
    }
}

impl<K, V> Core<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Has `items` committed and acknowledged; what is left of them, if anything is.
    pub(super) async fn settle_items(self: &Arc<Self>, behind: &Behind, map: Map, items: Vec<Item>) -> Option<Failure> {
        match map {
            Map::Values => self.settle_values(behind, items).await,
            Map::Counts => self.settle_counts(behind, items).await,
        }
    }

    async fn settle_values(self: &Arc<Self>, behind: &Behind, items: Vec<Item>) -> Option<Failure> {
        let (mut readable, mut changes, mut failure) = (Vec::with_capacity(items.len()), Vec::new(), None);
        for item in items {
            let change = Record::parse(&item.record).ok_or(record::Unreadable::Damaged);
            match change.and_then(|record| record.change(&self.settings.codec, &item.field)) {
                Ok(change) => {
                    changes.push(change);
                    readable.push(item);
                }
                Err(why) => {
                    let unburied = self.put_aside(behind, Map::Values, &item, &why.to_string()).await;
                    failure = failure.or(unburied);
                }
            }
        }
        let unsettled = self
            .bisect(behind, Map::Values, &readable, Batch::Values(&changes))
            .await;
        failure.or(unsettled)
    }

    /// Has the source commit some of a batch.
    pub(super) async fn commit_batch(
        &self,
        behind: &Behind,
        batch: Batch<'_, K, V>,
        range: Range<usize>,
    ) -> Result<(), SinkError> {
        let Some(sink) = self.any_sink() else {
            return Err(SinkError::unsupported("is not there"));
        };
        let namespace = self.layout.namespace();
        failpoint::reach("commit unbegun");
        match batch {
            Batch::Values(changes) => self.guarded(behind, sink.apply(namespace, &changes[range])).await,
            Batch::Counts(counts) => self.guarded(behind, sink.count(namespace, &counts[range])).await,
        }
    }

    /// Runs a commit: one that panics is refused, one that does not end is in doubt.
    async fn guarded(
        &self,
        behind: &Behind,
        commit: impl Future<Output = Result<(), SinkError>>,
    ) -> Result<(), SinkError> {
        let commit = AssertUnwindSafe(commit).catch_unwind();
        match self.clock.timeout(behind.settings.visibility, commit).await {
            Some(Ok(committed)) => committed,
            Some(Err(_panic)) => Err(SinkError::permanent("the sink panicked")),
            None => Err(SinkError::in_doubt(
                "the commit took longer than `WriteBehind::visibility`",
            )),
        }
    }

    /// Commits `items`, in halves where they are refused.
    pub(super) async fn bisect(
        &self,
        behind: &Behind,
        map: Map,
        items: &[Item],
        batch: Batch<'_, K, V>,
    ) -> Option<Failure> {
        let mut failure = None;
        let mut left = Vec::from([Range {
            start: 0,
            end: items.len(),
        }]);
        while let Some(range) = left.pop().filter(|range| !range.is_empty()) {
            match self.commit_batch(behind, batch, range.clone()).await {
                Ok(()) => {
                    failpoint::reach("committed");
                    self.announce_flushed(batch, range.clone());
                    let acknowledged = self.acknowledge(behind, map, &items[range]).await;
                    failure = failure.or(acknowledged);
                }
                Err(error) if error.kind() == SinkErrorKind::Permanent && range.len() > 1 => {
                    failpoint::reach("refused for good");
                    let middle = range.start + range.len() / 2;
                    left.push(middle..range.end);
                    left.push(range.start..middle);
                }
                Err(error) if error.kind() == SinkErrorKind::Permanent && map == Map::Counts => {
                    // Later steps build on it: it stays where it is, and is tried again after the visibility timeout.
                    let counter = self.label_of_field(&items[range.start].field);
                    tracing::error!(namespace = %self.layout.namespace(), counter, why = reason(&error), "the source refuses a counter");
                    self.count(Count::BehindRetried);
                }
                Err(error) if error.kind() == SinkErrorKind::Permanent => {
                    let item = &items[range.start];
                    let unburied = self.put_aside(behind, map, item, &reason(&error)).await;
                    failure = failure.or(unburied);
                }
                Err(error) => {
                    // Whatever it is (no connection, no table, no right to write), the next commit would meet it, too: no
                    // change is to blame, and none is put aside.
                    left.push(range);
                    let rest = left.iter().map(ExactSizeIterator::len).sum();
                    let returned = left.drain(..).flatten().map(|i| &items[i]);
                    self.give_back(behind, map, returned).await;
                    self.counters.add_many(Count::BehindRetried, rest as u64);
                    let what = format!("{rest} changes");
                    return Some(Failure::of(rest, self.sink_error("flush", what, error)));
                }
            }
        }
        failure
    }

    /// Services in other languages read the source: now it has what they have to hear of.
    fn announce_flushed(&self, batch: Batch<'_, K, V>, range: Range<usize>) {
        if let (Batch::Values(changes), true) = (batch, self.settings.channel.is_some()) {
            let keys: Vec<K> = changes[range].iter().map(|change| change.key.clone()).collect();
            self.announce(Changed::Keys(&keys), true);
        }
    }

    /// Puts a change among the dead letters; what is wrong if it has to wait instead.
    async fn put_aside(&self, behind: &Behind, map: Map, item: &Item, why: &str) -> Option<Failure> {
        match self.bury(behind, map, item, why).await {
            Ok(Buried::Done) => None,
            Ok(Buried::NoRoom) => {
                self.give_back(behind, map, std::iter::once(item)).await;
                let letters = behind.settings.dead_letters;
                Some(Failure::of(1, Error::from(ErrorKind::DeadLettersFull { letters })))
            }
            Err(error) => Some(Failure::of(1, error)),
        }
    }

    /// Removes exactly what was flushed; what is left then, if the store did not answer.
    async fn acknowledge(&self, behind: &Behind, map: Map, items: &[Item]) -> Option<Failure> {
        let by_now = match mutant::lives(Mutant::M15) {
            true => self.versions_by_now(behind, map, items).await,
            false => Vec::new(),
        };
        let mut attempts = 0;
        loop {
            attempts += 1;
            let flushed = items.iter().enumerate().map(|(at, item)| {
                let version = by_now.get(at).map_or_else(|| item.version(), Vec::as_slice);
                (item, version)
            });
            let acknowledged = self.send_acks(behind, map, flushed).await;
            failpoint::reach("ack unheard");
            match acknowledged {
                Ok(removed) => {
                    self.counters.add_many(Count::BehindFlushed, removed);
                    return None;
                }
                Err(error) if error.is_connection() && attempts < ACKS => self.pause_briefly().await,
                // Due again after the visibility timeout, the changes are committed again to no effect.
                Err(error) => return Some(Failure::of(items.len(), self.store_error("wback", error))),
            }
        }
    }

    /// Lets others have what was taken and not flushed: a version that nobody has only makes its key due.
    async fn give_back<'a>(&self, behind: &Behind, map: Map, items: impl Iterator<Item = &'a Item>) {
        let unflushed = items.map(|item| (item, NO_VERSION));
        let given_back = self.send_acks(behind, map, unflushed).await;
        failpoint::reach("given back");
        if let Err(error) = given_back {
            tracing::debug!(%error, "what was taken is due after the visibility timeout");
        }
    }

    async fn send_acks<'a>(
        &self,
        behind: &Behind,
        map: Map,
        items: impl Iterator<Item = (&'a Item, &'a [u8])>,
    ) -> Result<u64, StoreError> {
        /// Fields, each with the version that was flushed.
        type Flushed<'a> = Vec<(&'a [u8], &'a [u8])>;
        let mut by_partition: std::collections::BTreeMap<u8, Flushed<'_>> = Default::default();
        for (item, version) in items {
            by_partition
                .entry(item.partition)
                .or_default()
                .push((&item.field, version));
        }
        let calls: Vec<_> = by_partition
            .into_iter()
            .map(|(partition, flushed)| {
                let keys = &behind.keys[usize::from(partition)];
                let (d, z) = map.of(keys);
                let w = &keys.w;
                BehindAck { d, z, w, flushed }.call()
            })
            .collect();
        let mut removed = 0;
        for reply in self.store.call_many(&calls).await {
            removed += BehindAck::parse(reply?).unwrap_or(0);
        }
        Ok(removed)
    }

    /// The mutant's acknowledgement: of whatever waits by now.
    async fn versions_by_now(&self, behind: &Behind, map: Map, items: &[Item]) -> Vec<Vec<u8>> {
        let mut versions = Vec::with_capacity(items.len());
        for item in items {
            let (d, _) = map.of(&behind.keys[usize::from(item.partition)]);
            let mut command = redis::cmd("HGET");
            command.arg(d.as_ref()).arg(&item.field);
            versions.push(match self.store.run(&command).await {
                Ok(Value::BulkString(record)) => record::version_bytes(&record).to_vec(),
                _ => NO_VERSION.to_vec(),
            });
        }
        versions
    }
}

/// An error with its causes, for whoever reads the dead letter.
pub(super) fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Drivers tell their causes already.
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}
