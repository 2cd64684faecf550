//! What a cache counted: cheap enough to count on the hit path.
//!
//! A counter that two threads share costs more than the hit itself, so each thread adds to a stripe of its own
//! and reading sums them up. The `metrics` façade gets the sums, with the label `namespace`, once a second
//! and at [`Cache::stats`](crate::Cache::stats).

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::stripe::{self, STRIPES};

macro_rules! counters {
    ($($(#[$doc:meta])* $field:ident $variant:ident $metric:literal,)*) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Count { $($variant),* }

        const METRICS: &[&str] = &[$($metric),*];
        const KINDS: usize = METRICS.len();

        /// What a cache did in this process since it was built. Not a snapshot of one moment: read while others count.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$doc])* pub $field: u64,)*
            /// Entries in the near tier now.
            pub near_entries: u64,
            /// How long ago the stream of invalidations from a server was last proven live: past
            /// [`max_staleness`](crate::CacheBuilder::max_staleness) no near copy is served. `None` where there is no such
            /// stream, and while it is down.
            pub unproven_for: Option<Duration>,
            /// Keys that are being read or loaded now.
            pub in_flight: u64,
        }

        impl Stats {
            fn of(sums: &[u64; KINDS]) -> Self {
                Self { $($field: sums[Count::$variant as usize],)* near_entries: 0, unproven_for: None, in_flight: 0 }
            }
        }
    };
}

counters! {
    /// Answered by the near tier.
    near_hits NearHits "larder_near_hits_total",
    /// Not answered by the near tier (0 without one).
    near_misses NearMisses "larder_near_misses_total",
    /// Answered fresh by the store.
    store_hits StoreHits "larder_store_hits_total",
    /// Of those, taken by the fast path, without a script.
    fast_hits FastHits "larder_fast_hits_total",
    /// Nothing usable in the store.
    store_misses StoreMisses "larder_store_misses_total",
    /// Served past the TTL, within grace.
    stale_hits StaleHits "larder_stale_hits_total",
    /// Answered with a remembered "there is none".
    negative_hits NegativeHits "larder_negative_hits_total",
    /// Loads begun.
    loads Loads "larder_loads_total",
    /// Loads that failed, panicked or ran out of time.
    load_failures LoadFailures "larder_load_failures_total",
    /// Reads that shared another caller's read or load in this process.
    shared Shared "larder_shared_total",
    /// Reads that waited for a load elsewhere.
    waits Waits "larder_waits_total",
    /// Reads that waited longer than the wait budget and loaded without filling.
    waits_given_up WaitsGivenUp "larder_waits_given_up_total",
    /// Fills that were stored.
    fills Fills "larder_fills_total",
    /// Fills refused because the key was invalidated meanwhile.
    fills_gone FillsGone "larder_fills_gone_total",
    /// Fills refused because another had taken the lease.
    fills_superseded FillsSuperseded "larder_fills_superseded_total",
    /// Fills refused because the namespace was cleared meanwhile.
    fills_cleared FillsCleared "larder_fills_cleared_total",
    /// Fills refused because a tag was invalidated meanwhile.
    fills_tag FillsTag "larder_fills_tag_total",
    /// Fills refused because the store had a newer version.
    fills_older FillsOlder "larder_fills_older_total",
    /// Fills that failed for want of memory or of an answer.
    fills_failed FillsFailed "larder_fills_failed_total",
    /// Refreshes begun while the value was still usable.
    refreshes Refreshes "larder_refreshes_total",
    /// Records that did not decode, by damage or as another type.
    decode_failures DecodeFailures "larder_decode_failures_total",
    /// Records of another schema.
    schema_mismatches SchemaMismatches "larder_schema_mismatches_total",
    /// Keys of a wrong type that were dropped.
    healed Healed "larder_healed_total",
    /// Values put.
    puts Puts "larder_puts_total",
    /// Invalidations acknowledged by the store.
    invalidations Invalidations "larder_invalidations_total",
    /// Invalidations that could not be delivered.
    invalidations_pending InvalidationsPending "larder_invalidations_pending_total",
    /// Near copies found still valid without sending the value again.
    revalidated Revalidated "larder_revalidated_total",
    /// Store requests that failed.
    store_errors StoreErrors "larder_store_errors_total",
    /// Reads that went past an unreachable store.
    bypasses Bypasses "larder_bypasses_total",
    /// Holds that were lost before their commit was reported.
    holds_lost HoldsLost "larder_holds_lost_total",
}

impl Stats {
    /// Share of reads that needed no load: near and store hits, stale and negative ones, of all; `None` without reads.
    #[must_use]
    pub fn hit_ratio(&self) -> Option<f64> {
        let hits = self.near_hits + self.store_hits + self.stale_hits + self.negative_hits;
        let reads = hits + self.store_misses;
        (reads > 0).then(|| hits as f64 / reads as f64)
    }

    /// Fills refused, for whatever reason.
    #[must_use]
    pub fn fills_rejected(&self) -> u64 {
        self.fills_gone + self.fills_superseded + self.fills_cleared + self.fills_tag + self.fills_older
    }
}

// Two cache lines: processors fetch them in pairs.
#[repr(align(128))]
#[derive(Debug)]
struct Stripe([AtomicU64; KINDS]);

/// The counters of one cache.
#[derive(Debug)]
pub(crate) struct Counters {
    stripes: Box<[Stripe]>,
}

impl Default for Counters {
    fn default() -> Self {
        let stripe = || Stripe(std::array::from_fn(|_| AtomicU64::new(0)));
        Self {
            stripes: (0..STRIPES).map(|_| stripe()).collect(),
        }
    }
}

impl Counters {
    #[inline]
    pub(crate) fn add(&self, what: Count) {
        self.add_many(what, 1);
    }

    #[inline]
    pub(crate) fn add_many(&self, what: Count, n: u64) {
        let (stripe, is_own) = stripe::own();
        let count = &self.stripes[stripe].0[what as usize];
        // Relaxed: nothing is ordered by a count.
        if is_own {
            count.store(count.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
        } else {
            count.fetch_add(n, Ordering::Relaxed);
        }
    }

    fn sums(&self) -> [u64; KINDS] {
        let sum = |kind: usize| {
            self.stripes
                .iter()
                .map(|stripe| stripe.0[kind].load(Ordering::Relaxed))
                .sum()
        };
        std::array::from_fn(sum)
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats::of(&self.sums())
    }
}

/// The counters as the process's metrics recorder knows them.
pub(crate) struct Published(Vec<metrics::Counter>);

impl Published {
    pub(crate) fn new(namespace: &str) -> Self {
        let counter = |name: &&'static str| metrics::counter!(*name, "namespace" => namespace.to_owned());
        Self(METRICS.iter().map(counter).collect())
    }

    pub(crate) fn publish(&self, counters: &Counters) {
        for (metric, sum) in self.0.iter().zip(counters.sums()) {
            metric.absolute(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_all_threads_are_summed() {
        let counters = Counters::default();
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| (0..100).for_each(|_| counters.add(Count::NearHits)));
            }
        });
        assert_eq!(counters.stats().near_hits, 2_000);
    }

    #[test]
    fn a_ratio_of_nothing_is_none() {
        assert_eq!(Stats::default().hit_ratio(), None);
        assert_eq!(
            Stats {
                near_hits: 3,
                store_misses: 1,
                ..Stats::default()
            }
            .hit_ratio(),
            Some(0.75)
        );
    }
}
