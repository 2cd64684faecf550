//! What a cache counted: cheap enough to count on the hit path.
//!
//! A counter that two threads share costs more than the hit itself, so each thread adds to a stripe of its own
//! and reading sums them up. The `metrics` façade gets the sums (see `figures`).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_base::metric::{Metric, Text};

use crate::{
    metric,
    stripe::{self, STRIPES},
};

macro_rules! counters {
    ($($(#[$doc:meta])* $field:ident $variant:ident $metric:ident [$($label:literal),*],)*) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Count { $($variant),* }

        /// Where each count goes: a metric, and its labels after the namespace.
        const SERIES: &[(Metric, &[&str])] = &[$((metric::$metric, &[$($label),*])),*];
        const KINDS: usize = SERIES.len();

        /// What a cache did in this process since it was built, and how it is now. Not a snapshot of one moment: read while
        /// others count.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$doc])* pub $field: u64,)*
            /// Entries in the near tier now.
            pub near_entries: u64,
            /// How long ago the stream of invalidations from a server was last proven live: past
            /// [`max_staleness`](crate::CacheBuilder::max_staleness) no near copy is served. It grows while the
            /// stream is down. `None` where there is no such stream, or it never was proven.
            pub unproven_for: Option<Duration>,
            /// Entries that fit into the near tier.
            pub near_capacity: u64,
            /// Entries that left the near tier to make room.
            pub near_evictions: u64,
            /// Keys that are being read or loaded now.
            pub in_flight: u64,
            /// Calls of the source or a loader under way now.
            pub loads_running: u64,
            /// Loads that wait for a place under `max_loads`, or under the cap while the store is down.
            pub loads_waiting: u64,
            /// Invalidations that wait for the store's acknowledgement now.
            pub pending: u64,
        }

        impl Stats {
            fn of(sums: &[u64; KINDS]) -> Self {
                Self { $($field: sums[Count::$variant as usize],)* ..Self::default() }
            }
        }
    };
}

counters! {
    /// Values answered by the near tier.
    near_hits NearHits READS ["near", "hit"],
    /// "There is none", answered by the near tier.
    near_negatives NearNegatives READS ["near", "negative"],
    /// Answered by the near tier past the TTL, because the store was down.
    near_stale NearStale READS ["near", "stale"],
    /// Not answered by the near tier (0 without one).
    near_misses NearMisses READS ["near", "miss"],
    /// Answered fresh by the store.
    store_hits StoreHits READS ["store", "hit"],
    /// Answered by the store with a remembered "there is none".
    negative_hits NegativeHits READS ["store", "negative"],
    /// Served by the store past the TTL, within grace.
    stale_hits StaleHits READS ["store", "stale"],
    /// Answered by the store with what waits to be flushed to the source.
    behind_hits BehindHits READS ["behind", "hit"],
    /// Nothing usable in the store.
    store_misses StoreMisses READS ["store", "miss"],
    /// Of the store's hits, taken by the fast path, without a script.
    fast_hits FastHits FAST_HITS [],
    /// Values asked of the source or a loader.
    loads Loads LOADS [],
    /// Loads that failed with an error of the source's or the loader's.
    load_errors LoadErrors LOAD_FAILURES ["error"],
    /// Loads that took longer than they may.
    load_timeouts LoadTimeouts LOAD_FAILURES ["timeout"],
    /// Loads in which the source panicked.
    load_panics LoadPanics LOAD_FAILURES ["panic"],
    /// Loads that were not begun, because too many ran and waited.
    loads_refused LoadsRefused LOAD_FAILURES ["overloaded"],
    /// Loads put off by `min_refill_interval`.
    loads_paced LoadsPaced LOADS_PACED [],
    /// Reads answered with an older value, because the load took longer than `soft_deadline`.
    soft_deadlines SoftDeadlines SOFT_DEADLINES [],
    /// Reads that shared another caller's read or load in this process.
    shared Shared SHARED [],
    /// Reads that waited for a load elsewhere.
    waits Waits WAITS ["begun"],
    /// Reads that waited longer than the wait budget and loaded without filling.
    waits_given_up WaitsGivenUp WAITS ["given_up"],
    /// Fills that were stored.
    fills Fills FILLS ["stored"],
    /// Fills refused because the key was invalidated meanwhile.
    fills_gone FillsGone FILLS ["gone"],
    /// Fills refused because another had taken the lease.
    fills_superseded FillsSuperseded FILLS ["superseded"],
    /// Fills refused because the namespace was cleared meanwhile.
    fills_cleared FillsCleared FILLS ["cleared"],
    /// Fills refused because a tag was invalidated meanwhile.
    fills_tag FillsTag FILLS ["tag"],
    /// Fills refused because the store had a newer version.
    fills_older FillsOlder FILLS ["older"],
    /// Fills that failed for want of memory or of an answer.
    fills_failed FillsFailed FILLS ["failed"],
    /// Refreshes begun while the value was still usable.
    refreshes Refreshes REFRESHES [],
    /// Records that did not decode, by damage or as another type.
    decode_failures DecodeFailures DAMAGED ["undecodable"],
    /// Records of another schema.
    schema_mismatches SchemaMismatches DAMAGED ["schema"],
    /// Keys of a wrong type that were dropped.
    healed Healed DAMAGED ["wrong_type"],
    /// Values put.
    puts Puts PUTS [],
    /// Writes that the source committed; of many keys at once, one.
    writes Writes WRITES ["committed"],
    /// Writes that the source did not commit.
    writes_failed WritesFailed WRITES ["failed"],
    /// Writes of which nobody knows whether the source committed them.
    writes_in_doubt WritesInDoubt WRITES ["in_doubt"],
    /// Writes that the store accepted, for the source to have later.
    behind_accepted BehindAccepted BEHIND ["accepted"],
    /// Changes of those that the source has, coalesced by key.
    behind_flushed BehindFlushed BEHIND ["flushed"],
    /// Changes that the source did not take, to be tried again.
    behind_retried BehindRetried BEHIND ["retried"],
    /// Changes that the source will never take, put among the dead letters.
    behind_dead BehindDead BEHIND ["dead"],
    /// Invalidations acknowledged by the store.
    invalidations Invalidations INVALIDATIONS ["acknowledged"],
    /// Invalidations that could not be delivered at once.
    invalidations_pending InvalidationsPending INVALIDATIONS ["pending"],
    /// With `keep_pending`: attempts to keep pending invalidations on disk that failed.
    keep_failures KeepFailures KEEP_FAILURES [],
    /// Reads that took nothing cached, because an invalidation of their key was pending.
    quarantined_reads QuarantinedReads QUARANTINED [],
    /// How often the store came back as another run or another server, and was repaired.
    generations Generations GENERATIONS [],
    /// Near copies found still valid without sending the value again.
    revalidated Revalidated REVALIDATED [],
    /// Store requests that failed.
    store_errors StoreErrors STORE_FAILURES [],
    /// Reads that went past an unreachable store.
    bypasses Bypasses BYPASSES [],
    /// Keys, tags, patterns and clears from the channel that were invalidated.
    channel_applied ChannelApplied CHANNEL_MESSAGES ["applied"],
    /// Those that the store did not acknowledge at once.
    channel_pending ChannelPending CHANNEL_MESSAGES ["pending"],
    /// Messages on the channel that Larder sent, here or elsewhere, of what is done already.
    channel_known ChannelKnown CHANNEL_MESSAGES ["known"],
    /// Messages on the channel about other namespaces.
    channel_other ChannelOther CHANNEL_MESSAGES ["other"],
    /// Messages on the channel, and keys in them, that could not be read.
    channel_malformed ChannelMalformed CHANNEL_MESSAGES ["malformed"],
    /// Messages on the channel that were too long to be read.
    channel_oversized ChannelOversized CHANNEL_MESSAGES ["oversized"],
    /// Times that messages on the channel may have been missed.
    channel_gaps ChannelGaps CHANNEL_GAPS [],
    /// Invalidations of this process announced on the channel.
    announced Announced ANNOUNCEMENTS ["sent"],
    /// Announcements that were dropped, because too many waited or one was too long.
    announcements_dropped AnnouncementsDropped ANNOUNCEMENTS ["dropped"],
    /// Holds that were lost before their commit was reported.
    holds_lost HoldsLost HOLDS_LOST [],
}

impl Stats {
    /// Share of reads that needed no load: near and store hits, stale and negative ones, of all; `None` without reads.
    #[must_use]
    pub fn hit_ratio(&self) -> Option<f64> {
        let near = self.near_hits + self.near_negatives + self.near_stale;
        let hits = near + self.store_hits + self.stale_hits + self.negative_hits + self.behind_hits;
        let reads = hits + self.store_misses;
        (reads > 0).then(|| hits as f64 / reads as f64)
    }

    /// Loads that failed, for whatever reason.
    #[must_use]
    pub const fn load_failures(&self) -> u64 {
        self.load_errors + self.load_timeouts + self.load_panics + self.loads_refused
    }

    /// Fills refused, for whatever reason.
    #[must_use]
    pub const fn fills_rejected(&self) -> u64 {
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
    // Not boxed: a hit would fetch the address first.
    stripes: [Stripe; STRIPES],
}

impl Default for Counters {
    fn default() -> Self {
        let stripe = || Stripe(std::array::from_fn(|_| AtomicU64::new(0)));
        Self {
            stripes: std::array::from_fn(|_| stripe()),
        }
    }
}

/// A thread's place among the counters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own<'a> {
    stripe: &'a Stripe,
    is_own: bool,
}

impl Own<'_> {
    #[inline]
    pub(crate) fn add(self, what: Count, n: u64) {
        let count = &self.stripe.0[what as usize];
        // Relaxed: nothing is ordered by a count.
        if self.is_own {
            count.store(count.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
        } else {
            count.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// Counts an answer of the near tier.
    #[inline]
    pub(crate) fn add_near(self, is_value: bool) {
        let what = if is_value {
            Count::NearHits
        } else {
            Count::NearNegatives
        };
        self.add(what, 1);
    }
}

impl Counters {
    #[inline]
    pub(crate) fn add(&self, what: Count) {
        self.add_many(what, 1);
    }

    #[inline]
    pub(crate) fn add_many(&self, what: Count, n: u64) {
        self.own().add(what, n);
    }

    /// Where the calling thread counts. A hit looks this up before the map, whose locks no processor looks past.
    #[inline]
    pub(crate) fn own(&self) -> Own<'_> {
        let (stripe, is_own) = stripe::own();
        // The remainder changes nothing and spares a bounds check.
        let stripe = &self.stripes[stripe % STRIPES];
        Own { stripe, is_own }
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

    /// Hands the sums over to the process's recorder.
    pub(crate) fn publish(&self, namespace: &Arc<str>) {
        for ((metric, labels), sum) in SERIES.iter().zip(self.sums()) {
            let namespace = Text::from(namespace.clone());
            match **labels {
                [] => metric.total([namespace], sum),
                [only] => metric.total([namespace, only.into()], sum),
                [tier, outcome, ..] => metric.total([namespace, tier.into(), outcome.into()], sum),
            }
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
