//! How a cache is now, for [`Cache::stats`](crate::Cache::stats) and for the process's metrics.

use larder_base::{
    CacheKey,
    metric::{Figures, Text},
};

use crate::{Lookup, core::Core, metric, stats::Stats};

impl<K: CacheKey, V: Send + Sync + 'static> Core<K, V> {
    /// What was counted, and how it is now.
    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.counters.stats();
        stats.unproven_for = self.near.unproven_for(self.now());
        stats.near_entries = self.near.len() as u64;
        stats.near_capacity = self.settings.near as u64;
        stats.near_evictions = self.near.evictions();
        stats.pending = self.pending.len() as u64;
        stats.in_flight = (self.loads.len() + self.peeks.len()) as u64;
        stats.loads_running = (self.load_slots.running() + self.bypass_slots.running()) as u64;
        stats.loads_waiting = (self.load_slots.waiting() + self.bypass_slots.waiting()) as u64;
        stats
    }
}

impl<K: CacheKey, V: Send + Sync + 'static> Core<K, V> {
    /// Records how far past its TTL an answer was.
    #[cold]
    pub(crate) fn note_staleness(&self, found: &Lookup<V>) {
        metric::STALE_AGE.record([Text::from(self.layout.namespace().clone())], found.overdue());
    }
}

impl<K: CacheKey, V: Send + Sync + 'static> Figures for Core<K, V> {
    fn publish(&self) {
        let namespace = self.layout.namespace();
        self.counters.publish(namespace);
        let stats = self.stats();
        let label = || [Text::from(namespace.clone())];
        metric::READS_IN_FLIGHT.show(label(), stats.in_flight as f64);
        metric::PENDING.show(label(), stats.pending as f64);
        metric::LOADS_RUNNING.show(label(), stats.loads_running as f64);
        metric::LOADS_WAITING.show(label(), stats.loads_waiting as f64);
        if self.near.has_near() {
            metric::NEAR_ENTRIES.show(label(), stats.near_entries as f64);
            metric::NEAR_CAPACITY.show(label(), stats.near_capacity as f64);
            metric::NEAR_EVICTIONS.total(label(), stats.near_evictions);
        }
        let lag = self.behind.as_ref().and_then(|behind| *behind.lag.lock());
        if let Some(lag) = lag {
            metric::BEHIND_ENTRIES.show(label(), lag.entries as f64);
            metric::BEHIND_BYTES.show(label(), lag.bytes as f64);
            metric::BEHIND_AGE.show(label(), lag.oldest.as_secs_f64());
            metric::DEAD_LETTERS.show(label(), lag.dead_letters as f64);
        }
        if let Some(age) = stats.unproven_for {
            metric::STREAM_AGE.show(label(), age.as_secs_f64());
        }
    }
}
