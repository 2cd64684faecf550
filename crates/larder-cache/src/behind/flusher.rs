//! The task that flushes: takes what is due, under a visibility timeout, and has it settled.
//!
//! Killed anywhere it leaves nothing undone: what it had not taken is due, what it had taken is due again after the timeout,
//! and what it had committed and not acknowledged is committed again to no effect.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::StreamExt as _;
use larder_base::{CacheKey, Clock, failpoint};
use serde::{Serialize, de::DeserializeOwned};
use tracing::Instrument as _;

use super::{
    Behind, Map,
    schedule::SWEEP,
    settle::{Failure, Item, reason},
};
use crate::{
    CacheEvent, Error, ErrorKind,
    cache::boxed,
    core::Core,
    script::{BehindClaim, Step},
    settings::millis,
};

/// The first pause after the source failed; doubled up to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest pause: a source that is back after an outage gets its writes this much later.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How often it is looked how far the source is behind, for the metrics: 64 small scripts each time.
const LAG_EVERY: Duration = Duration::from_secs(5);

/// Starts the flusher of a core; it ends with it.
pub(crate) fn start<K, V>(core: &Arc<Core<K, V>>)
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    if let Some(behind) = core.behind.clone().filter(|behind| behind.settings.flushes) {
        let flusher = Flusher {
            behind,
            clock: core.clock.clone(),
            failures: 0,
        };
        drop(core.tasks.spawn("flusher", flusher.run(Arc::downgrade(core))));
    }
}

/// What the task keeps while it waits: not the core, which ends when its last user drops it.
struct Flusher {
    behind: Arc<Behind>,
    clock: Clock,
    /// Rounds that failed, one after the other.
    failures: u32,
}

impl Flusher {
    async fn run<K, V>(mut self, core: Weak<Core<K, V>>)
    where
        K: CacheKey,
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        // What a process before this one left is due at once.
        let (mut sweep_at, mut lag_at) = (Duration::ZERO, Duration::ZERO);
        loop {
            let due = self.wait(&mut sweep_at).await;
            let Some(core) = core.upgrade() else { return };
            if due.is_empty() {
                continue;
            }
            let span = tracing::debug_span!("flush", namespace = %core.layout.namespace(), partitions = due.len());
            let flushed = core.flush_due(&self.behind, &due).instrument(span).await;
            if self.clock.monotonic() >= lag_at {
                lag_at = self.clock.monotonic() + LAG_EVERY;
                core.measure_lag(&self.behind).await;
            }
            match flushed {
                Ok(()) => self.failures = 0,
                Err(error) => {
                    tracing::debug!(%error, "what waits could not be flushed");
                    let pause = self.pause(&core);
                    drop(core);
                    self.clock.sleep(pause).await;
                    // What was given back is due, wherever it was.
                    sweep_at = Duration::ZERO;
                }
            }
        }
    }

    /// Waits until some partition may have something due; which ones.
    async fn wait(&self, sweep_at: &mut Duration) -> Vec<u8> {
        let schedule = &self.behind.schedule;
        loop {
            let now = self.clock.monotonic();
            if now >= *sweep_at {
                *sweep_at = now + SWEEP;
                return schedule.take_all();
            }
            let next = schedule.next().unwrap_or(*sweep_at).min(*sweep_at);
            if next <= now {
                return schedule.take(now);
            }
            let _earlier = self.clock.timeout(next - now, schedule.earlier()).await;
        }
    }

    /// Half of the pause to all of it, so that many processes do not come together.
    fn pause<K: CacheKey, V>(&mut self, core: &Core<K, V>) -> Duration {
        let pause = PAUSE_MIN.saturating_mul(1 << self.failures.min(10)).min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        pause.mul_f64(0.5 + core.random.unit() / 2.0)
    }
}

impl<K, V> Core<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Flushes what is due in `partitions`, round after round until nothing more is.
    async fn flush_due(self: &Arc<Self>, behind: &Behind, partitions: &[u8]) -> Result<(), Error> {
        let mut failure = None;
        for map in Map::ALL {
            let mut left = self.going(behind, partitions).await;
            while !left.is_empty() && failure.is_none() {
                let (items, more) = self.claim(behind, map, &left).await?;
                let failures = self.settle_batches(behind, map, items).await;
                // A partition that stops does not slow down the others.
                failure = failures
                    .into_iter()
                    .find(|failure| !matches!(failure.error.kind(), ErrorKind::DeadLettersFull { .. }));
                left = self.going(behind, &more).await;
            }
        }
        self.note_flush(behind, failure.as_ref());
        failure.map_or(Ok(()), |failure| Err(failure.error))
    }

    /// Takes what is due, so much in all as the commits at a time hold; and which partitions may have more.
    async fn claim(&self, behind: &Behind, map: Map, partitions: &[u8]) -> Result<(Vec<Item>, Vec<u8>), Error> {
        let settings = &behind.settings;
        // What was taken is kept in memory until it is settled.
        let limit = (settings.batch * settings.concurrency / partitions.len()).max(1);
        let calls: Vec<_> = partitions
            .iter()
            .map(|partition| {
                let (d, z) = map.of(&behind.keys[usize::from(*partition)]);
                BehindClaim {
                    d,
                    z,
                    limit: limit as u64,
                    visibility_ms: millis(settings.visibility),
                }
                .call()
            })
            .collect();
        let sent = self.now();
        let replies = self.store.call_many(&calls).await;
        failpoint::reach("claimed");
        let (mut items, mut more, mut failure) = (Vec::new(), Vec::new(), None);
        for (partition, reply) in partitions.iter().zip(replies) {
            let reply = reply.map_err(|error| self.store_error("wbclaim", error));
            match reply.and_then(|value| self.parse::<BehindClaim<'_>>("wbclaim", value, sent)) {
                Ok(claimed) => {
                    if claimed.records.len() == limit {
                        more.push(*partition);
                    }
                    let records = claimed.records.into_iter();
                    items.extend(records.map(|(field, record)| Item {
                        partition: *partition,
                        field,
                        record,
                    }));
                }
                Err(error) => _ = failure.get_or_insert(error),
            }
        }
        match failure {
            // What was taken beside it is settled; the rest comes with the next sweep.
            Some(error) if items.is_empty() => Err(error),
            _ => Ok((items, more)),
        }
    }

    /// Settles `items` in batches, so many commits at a time; what failed.
    pub(super) async fn settle_batches(
        self: &Arc<Self>,
        behind: &Behind,
        map: Map,
        mut items: Vec<Item>,
    ) -> Vec<Failure> {
        // In one order everywhere, so that two commits do not wait for each other's rows.
        items.sort_unstable_by(|one, other| one.field.cmp(&other.field));
        let mut batches = Vec::with_capacity(items.len() / behind.settings.batch + 1);
        while !items.is_empty() {
            let rest = items.split_off(behind.settings.batch.min(items.len()));
            batches.push(std::mem::replace(&mut items, rest));
        }
        // In boxes: through the stream's types the compiler cannot see that they are `Send`.
        let settling: Vec<_> = batches
            .into_iter()
            .map(|batch| boxed(self.settle_items(behind, map, batch)))
            .collect();
        let settling = futures_util::stream::iter(settling).buffer_unordered(behind.settings.concurrency);
        let failures: Vec<Option<Failure>> = settling.collect().await;
        failures.into_iter().flatten().collect()
    }

    /// Tells when the source begins to fail, and when it is over.
    fn note_flush(&self, behind: &Behind, failure: Option<&Failure>) {
        let is_failing = failure.is_some();
        if behind.is_failing.swap(is_failing, std::sync::atomic::Ordering::AcqRel) == is_failing {
            return;
        }
        match failure {
            Some(failure) => {
                tracing::warn!(namespace = %self.layout.namespace(), error = %failure.error, "what waits cannot be flushed");
                self.events.tell(|| CacheEvent::FlushFailed {
                    changes: failure.changes,
                    why: reason(&failure.error),
                });
            }
            None => self.events.tell(|| CacheEvent::FlushRestored),
        }
    }
}
