//! What a cache does when its store is back, in this order (protocol 1.8): it looks which run of which server this is, sends
//! what is pending, repairs what a new generation may have lost, and only then takes what is cached again. Loads begin slowly.
//!
//! One task per core does it, woken by what becomes pending, by every new connection, and by a stream of
//! invalidations that is back; while the store does not answer,
//! it tries again with growing, jittered pauses.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use larder_base::{CacheKey, Clock, Random};
use larder_store::{Connections, Generation, StoreError};
use tracing::Instrument as _;

use crate::{
    CacheEvent,
    coherence::NearTier,
    core::Core,
    loading::Slots,
    mutant::{self, Mutant},
    owed::{Owed, first_batch},
    pending::{Pending, Version},
    settings::NewGeneration,
    stats::Count,
};

/// The first pause after a round that failed: a restart of a server on the same machine takes about as long.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest pause: what was pending during a long outage that ends without a new connection waits this much longer.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How long a cold store is loaded at one pace after an outage before the places for loads double: from 16 to the usual 64
/// in half a second, while a source that begins to slow down has time to show it in the loads that then wait.
const RAMP_STEP: Duration = Duration::from_millis(250);

/// Starts the recovery task of a core; it ends with it.
pub(crate) fn start<K, V>(core: &Arc<Core<K, V>>)
where
    K: CacheKey,
    V: Send + Sync + 'static,
{
    let task = Task {
        slots: core.load_slots.clone(),
        first_loads: Core::<K, V>::first_loads(&core.settings),
        pending: core.pending.clone(),
        near: core.near.clone(),
        connections: core.store.connections(),
        clock: core.clock.clone(),
        random: core.random.clone(),
    };
    // At the start there is nothing to recover.
    core.known_generation.lock().clone_from(&core.store.generation());
    if let Some(epoch) = core.near.is_waiting() {
        core.near.resume(epoch);
    }
    drop(
        core.tasks
            .spawn("load ramp", ramp(core.load_slots.clone(), core.clock.clone())),
    );
    drop(core.tasks.spawn("recovery", task.run(Arc::downgrade(core))));
}

/// Gives back the places for loads that were kept back after an outage, so that a cold store does not fall on its source at
/// once.
async fn ramp(slots: Arc<Slots>, clock: Clock) {
    loop {
        slots.narrowed().await;
        loop {
            clock.sleep(RAMP_STEP).await;
            if slots.widen() {
                break;
            }
        }
    }
}

/// What the task keeps while it waits: not the core, which ends when its last user drops it.
struct Task<K, V> {
    slots: Arc<Slots>,
    first_loads: usize,
    pending: Arc<Pending>,
    near: Arc<NearTier<K, V>>,
    connections: Connections,
    clock: Clock,
    random: Random,
}

impl<K: CacheKey, V: Send + Sync + 'static> Task<K, V> {
    async fn run(mut self, core: Weak<Core<K, V>>) {
        loop {
            tokio::select! {
                () = self.pending.added() => {}
                () = self.connections.next() => self.slots.narrow(self.first_loads),
                _ = self.near.waits_for_resume() => {}
            }
            let mut pause = PAUSE_MIN;
            loop {
                let Some(core) = core.upgrade() else { return };
                let span = tracing::info_span!("recovery", namespace = %core.layout.namespace());
                let Err(error) = core.recover().instrument(span).await else {
                    break;
                };
                drop(core);
                tracing::debug!(%error, pending = self.pending.len(), "the store has not acknowledged everything yet");
                self.pause(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }

    /// Half of `span` to all of it, so that many processes do not come together; less if the store is connected anew.
    async fn pause(&mut self, span: Duration) {
        let span = span.mul_f64(0.5 + self.random.unit() / 2.0);
        if self.clock.timeout(span, self.connections.next()).await.is_some() {
            self.slots.narrow(self.first_loads);
        }
    }
}

/// What a new generation makes necessary.
enum Repair {
    Nothing,
    /// Invalidate again what this process invalidated lately.
    Replay(Vec<Owed>),
    /// Drop everything.
    Fence,
}

impl<K: CacheKey, V: Send + Sync + 'static> Core<K, V> {
    /// One round of it; `Err` if the store has not acknowledged everything.
    async fn recover(&self) -> Result<(), StoreError> {
        // Connects, if need be, and tells that what we are connected to answers.
        self.store.ping().await?;
        let (generation, epoch) = (self.store.generation(), self.near.is_waiting());
        if generation.is_none() && !self.store.is_embedded() {
            return Err(moved());
        }
        let repair = self.repair(generation.as_ref());
        if mutant::lives(Mutant::M14) {
            let (owed, version) = self.pending.snapshot();
            self.pending.lift(&owed, version);
        }
        let (acknowledged, version, failure) = self.flush().await;
        self.mend(repair).await?;
        // Connected anew meanwhile: to what, the next round finds out.
        if self.store.generation() != generation {
            return Err(moved());
        }
        *self.known_generation.lock() = generation;
        self.lift(&acknowledged, version);
        if let Some(epoch) = epoch {
            // Refused if the stream was lost once more: then it waits again, for the next round.
            self.near.resume(epoch);
        }
        failure.map_or(Ok(()), Err)
    }

    /// What `generation`, compared with the one before, makes necessary. Taken before anything is sent, which would be noted.
    fn repair(&self, generation: Option<&Generation>) -> Repair {
        let known = self.known_generation.lock().clone();
        match (known, generation) {
            (Some(known), Some(now)) if known != *now => {}
            _ => return Repair::Nothing,
        }
        match self.settings.new_generation() {
            NewGeneration::Replay => self.ring.noted().map_or(Repair::Fence, Repair::Replay),
            NewGeneration::Fence => Repair::Fence,
        }
    }

    /// Sends what is pending, once: what was acknowledged of what was pending at that version, and the first failure.
    async fn flush(&self) -> (Vec<Owed>, Version, Option<StoreError>) {
        let (owed, version) = self.pending.snapshot();
        let (mut acknowledged, mut failure) = (Vec::with_capacity(owed.len()), None);
        let mut rest = owed.as_slice();
        while !rest.is_empty() {
            let batch = first_batch(rest);
            self.note(batch);
            let results = self.send_batch(batch).await;
            for (one, result) in batch.iter().zip(results) {
                match result {
                    Ok(()) => acknowledged.push(one.clone()),
                    Err(error) => _ = failure.get_or_insert(error),
                }
            }
            if failure.as_ref().is_some_and(StoreError::is_connection) {
                break;
            }
            rest = &rest[batch.len()..];
        }
        (acknowledged, version, failure)
    }

    /// Repairs what a store of a new generation may have lost.
    async fn mend(&self, repair: Repair) -> Result<(), StoreError> {
        let (owed, fence) = match repair {
            Repair::Nothing => return Ok(()),
            Repair::Replay(owed) => (owed, false),
            Repair::Fence => (vec![Owed::All], true),
        };
        tracing::warn!(
            fence,
            invalidations = owed.len(),
            "the store is another run or another server than before"
        );
        let mut rest = owed.as_slice();
        while !rest.is_empty() {
            let batch = first_batch(rest);
            self.send_batch(batch).await.into_iter().collect::<Result<(), _>>()?;
            // What was read since the store is back may be what it had lost.
            batch.iter().for_each(|one| self.forget_owed(one));
            rest = &rest[batch.len()..];
        }
        if fence {
            self.ring.cleared();
        }
        self.count(Count::Generations);
        self.events.tell(|| CacheEvent::NewGeneration { fenced: fence });
        Ok(())
    }

    /// Ends the quarantine of what was acknowledged. What a read has on its way from before is not kept.
    fn lift(&self, acknowledged: &[Owed], version: Version) {
        acknowledged.iter().for_each(|one| self.forget_owed(one));
        self.pending.lift(acknowledged, version);
        if !acknowledged.is_empty() && self.pending.is_empty() {
            self.events.tell(|| CacheEvent::Delivered);
        }
    }
}

/// The store is being connected, or was connected anew during a round.
fn moved() -> StoreError {
    redis::RedisError::from(std::io::Error::other("the store was connected anew meanwhile")).into()
}
