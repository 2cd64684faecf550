//! Flushing now: one key, everything up to a write, everything.
//!
//! None of them waits for whoever else may be flushing: they read what waits and commit it themselves. What another has
//! committed meanwhile is passed over by the source.

use std::{sync::Arc, time::Duration};

use larder_base::{CacheKey, failpoint};
use redis::Value;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Behind, Map,
    settle::{Failure, Item},
};
use crate::{Error, Receipt, SinkError, core::Core, layout::PARTITIONS};

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A key as it stands in D, and its record.
type FieldRecord = (Vec<u8>, Vec<u8>);

/// What [`Cache::drain`](crate::Cache::drain) came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Drained {
    /// Under write-behind: changes that this process flushed meanwhile.
    pub flushed: u64,
    /// Under write-behind: changes that still wait, whoever wrote them; `None` if the store could not be asked. They are as safe
    /// as their acknowledgement said, and any other process flushes them.
    pub left: Option<u64>,
    /// Whether all invalidations were acknowledged, all tasks ended, and nothing waits to be flushed.
    pub is_complete: bool,
}

impl<K, V> Core<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Flushes what waits of `key`; whether anything did.
    pub(crate) async fn flush_key(self: &Arc<Self>, key: &K) -> Result<bool, Error> {
        let behind = self.behind_for("flush")?;
        let place = self.place(key);
        let partition = place.address.partition;
        let mut pause = Duration::ZERO;
        loop {
            let mut command = redis::cmd("HGET");
            let field = place.address.written.as_str().as_bytes().to_vec();
            command.arg(behind.keys[usize::from(partition)].d.as_ref()).arg(&field);
            let found = self
                .store
                .run(&command)
                .await
                .map_err(|error| self.store_error("HGET", error))?;
            let Value::BulkString(record) = found else {
                return Ok(false);
            };
            let item = Item {
                partition,
                field,
                record,
            };
            match self.settle_items(behind, Map::Values, vec![item]).await {
                None => return Ok(true),
                Some(failure) => self.bear(failure, &mut pause).await?,
            }
        }
    }

    /// Flushes all partitions that `receipt` has written to: of a key that was written again since, the source then has
    /// that.
    pub(crate) async fn flush_up_to(self: &Arc<Self>, receipt: &Receipt) -> Result<(), Error> {
        if receipt.tickets().is_empty() {
            return Ok(());
        }
        let behind = self.behind_for("barrier")?;
        let mut partitions: Vec<u8> = receipt.tickets().iter().map(|ticket| ticket.partition).collect();
        partitions.sort_unstable();
        partitions.dedup();
        self.flush_partitions(behind, &partitions).await
    }

    /// Flushes everything.
    pub(crate) async fn flush_everything(self: &Arc<Self>, behind: &Behind) -> Result<(), Error> {
        let all: Vec<u8> = (0..PARTITIONS as u8).collect();
        self.flush_partitions(behind, &all).await
    }

    async fn flush_partitions(self: &Arc<Self>, behind: &Behind, partitions: &[u8]) -> Result<(), Error> {
        let mut failed = None;
        for partition in partitions {
            for map in Map::ALL {
                // A partition that cannot be flushed does not keep the others from it.
                failed = failed.or(self.flush_partition(behind, map, *partition).await.err());
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn flush_partition(self: &Arc<Self>, behind: &Behind, map: Map, partition: u8) -> Result<(), Error> {
        let (mut cursor, mut pause) = (0, Duration::ZERO);
        loop {
            let (next, items) = self.scan(behind, map, partition, cursor).await?;
            match self.settle_batches(behind, map, items).await.into_iter().next() {
                // The same ones again.
                Some(failure) => self.bear(failure, &mut pause).await?,
                None if next == 0 => return Ok(()),
                None => cursor = next,
            }
        }
    }

    /// Some of what waits in a partition, due or not: what waits all the time while it is walked is found.
    async fn scan(&self, behind: &Behind, map: Map, partition: u8, cursor: u64) -> Result<(u64, Vec<Item>), Error> {
        let (d, _) = map.of(&behind.keys[usize::from(partition)]);
        let mut command = redis::cmd("HSCAN");
        command
            .arg(d.as_ref())
            .arg(cursor)
            .arg("COUNT")
            .arg(behind.settings.batch);
        let mut store = self.store.clone();
        let scanned = command.query_async(&mut store).await;
        let (next, records): (u64, Vec<FieldRecord>) =
            scanned.map_err(|error| self.store_error("HSCAN", error.into()))?;
        let items = records.into_iter().map(|(field, record)| Item {
            partition,
            field,
            record,
        });
        Ok((next, items.collect()))
    }

    /// Waits for what may pass, longer each time; anything else is for the caller.
    async fn bear(&self, failure: Failure, pause: &mut Duration) -> Result<(), Error> {
        let may_pass = match failure.error.sink_error() {
            Some(error) => error.is_retryable() || SinkError::is_in_doubt(error),
            None => failure.error.is_store_down(),
        };
        if !may_pass {
            return Err(failure.error);
        }
        self.pause_briefly().await;
        self.clock.sleep(*pause).await;
        *pause = (*pause * 2 + Duration::from_millis(10)).min(PAUSE_MAX);
        Ok(())
    }

    /// Ends the work in the background, what waits flushed first.
    pub(crate) async fn drain(self: &Arc<Self>, deadline: Duration) -> Drained {
        let ends = self.now().saturating_add(deadline);
        let left = |core: &Self| ends.saturating_sub(core.now());
        let before = self.counters.stats().behind_flushed;
        let mut is_complete = self.clock.timeout(deadline, self.pending.emptied()).await.is_some();
        if let Some(behind) = &self.behind {
            behind.close();
            failpoint::reach("draining");
            let flushed = self.clock.timeout(left(self), self.flush_everything(behind)).await;
            failpoint::reach("drained");
            if let Some(Err(error)) = flushed {
                tracing::warn!(namespace = %self.layout.namespace(), %error, "not everything could be flushed");
            }
        }
        is_complete &= self.tasks.shutdown(&self.clock, left(self)).await;
        let waiting = match &self.behind {
            Some(behind) => {
                let within = self.store.config().command_deadline();
                self.clock.timeout(within, self.waiting(behind)).await.flatten()
            }
            None => Some(0),
        };
        Drained {
            flushed: self.counters.stats().behind_flushed - before,
            left: waiting,
            is_complete: is_complete && waiting == Some(0),
        }
    }
}
