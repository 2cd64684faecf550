//! What is set per cache, with its defaults (protocol 1.4).

use std::{sync::Arc, time::Duration};

use larder_base::codec::Codec;

use crate::{PendingLog, WriteBehind, channel::OnGap, log::LOG_MAX};

/// How long a value is fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl(Option<Duration>);

impl Ttl {
    /// Fresh for so long.
    #[must_use]
    pub const fn of(span: Duration) -> Self {
        Self(Some(span))
    }

    /// Fresh until invalidated or evicted. Whatever is missed (a writer that dies between commit and invalidation)
    /// then stays for ever: a TTL is the backstop of every other promise.
    #[must_use]
    pub const fn never() -> Self {
        Self(None)
    }

    pub(crate) fn span(self) -> Duration {
        self.0.map_or(IMMORTAL, |span| span.min(IMMORTAL))
    }

    pub(crate) const fn is_never(self) -> bool {
        self.0.is_none()
    }
}

/// "Never" as a number that a server takes for an expiry, and the longest of all spans: a hundred years.
pub(crate) const IMMORTAL: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

impl From<Duration> for Ttl {
    fn from(span: Duration) -> Self {
        Self::of(span)
    }
}

/// How near copies stay true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coherence {
    /// The server says what changes (RESP3 client tracking), and is asked several times within
    /// [`max_staleness`](crate::CacheBuilder::max_staleness) whether it still does.
    #[default]
    Tracking,
    /// A log in the store says what changed, and is read several times within
    /// [`max_staleness`](crate::CacheBuilder::max_staleness). Needs no pushes, so RESP2 and proxies will do; and after a gap it
    /// is read on from where it was, so that copies which nobody touched meanwhile live on.
    Log,
    /// Nobody says: a near copy may be `max_staleness` old. Invalidations of other processes are seen after that.
    TtlOnly {
        /// How long a near copy may be served.
        max_staleness: Duration,
    },
}

/// When a write under a [`hold`](crate::Cache::hold) is in the clear for readers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// The commit runs at once. From then on the store serves nothing older; a near tier of another process may, for
    /// [`max_staleness`](crate::CacheBuilder::max_staleness).
    #[default]
    Bounded,
    /// The commit waits until no near tier can have a copy from before: for
    /// [`max_staleness`](crate::CacheBuilder::max_staleness) and a little. Then no read anywhere that starts after the
    /// commit became visible is older than it, even if the writer dies in the middle (T3).
    ///
    /// The wait is the price. It is not taken where there is nothing to wait for: on the embedded store, and with
    /// `max_staleness` zero, which says that no process has a near tier.
    Strict,
}

/// What a read does when the store cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStoreDown {
    /// Goes to the source or loader, at most so many at a time, so that an outage of the cache does not become one of
    /// the source. Without a loader a read is then a miss.
    Bypass {
        /// Loads at a time; further ones wait.
        max_concurrency: usize,
    },
    /// Serves near copies, flagged as stale, for so long past their TTL and past
    /// [`max_staleness`](crate::CacheBuilder::max_staleness) since the server last vouched for them; then fails. What was
    /// invalidated before the store was lost is not served, nor what this process invalidated since.
    ServeNear {
        /// How far past its time a copy may be served.
        max_stale: Duration,
    },
    /// Fails.
    Fail,
}

/// What to do when the store turns out to be another run or another server than before: restarted, restored from a
/// snapshot, or a replica that was promoted. It may have lost what was acknowledged last, so that values are back which this
/// process had invalidated. It is noticed at the next connection, and within a second where the connection stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewGeneration {
    /// Each process repeats its own invalidations of the last minute (up to 100 000; beyond that it clears). No old value is
    /// read for longer than noticing and repeating take, if the process that invalidated it still lives and the store lost
    /// no more than that minute.
    Replay,
    /// Each process clears the namespace: no old value is read after that, whoever invalidated it and however much the store
    /// lost. The price is a cold cache.
    Fence,
}

/// How a write reaches the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WritePolicy {
    /// The key is [held](crate::Cache::hold), the source commits, and the value is cached if nobody interfered: whoever reads
    /// next hits. Two round trips to the store beside the commit.
    #[default]
    Through,
    /// The source commits, and the key is invalidated: whoever reads next loads. One round trip beside the commit; for values
    /// that are written more often than read. With [`Consistency::Strict`] or [`WriteGate::RequireHold`] the key is held
    /// meanwhile, as in `Through`.
    Around,
    /// The store accepts the write, as safely as [`Ack`](crate::Ack) says, and answers reads with it from then on; the source
    /// has it later, in a batch. One round trip, however slow the source is, and of a key that is written often only the last
    /// value is committed. Needs a sink that keeps versions ([`Sink::apply`](crate::Sink::apply)), and that nobody else writes
    /// what it writes. What is put has the TTL and tags of the load that follows the flush.
    Behind(WriteBehind),
}

/// What a write does when the store cannot be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteGate {
    /// The source is written all the same, and the invalidation is pending: this process reads past the cache until the store
    /// has acknowledged it, others may read the old value until then, or until its hard TTL. The receipt says so.
    #[default]
    Open,
    /// Nothing is written, and the write fails: no other process can then read what was replaced. With
    /// [`Consistency::Strict`] it is always so.
    RequireHold,
}

impl Default for OnStoreDown {
    fn default() -> Self {
        Self::Bypass { max_concurrency: 16 }
    }
}

/// Finds the tags of a value.
pub(crate) type TagsOf<V> = Arc<dyn Fn(&V) -> Vec<String> + Send + Sync>;

/// Everything but the namespace, the store and the source.
pub(crate) struct Settings<V> {
    pub(crate) channel: Option<String>,
    pub(crate) on_gap: OnGap,
    pub(crate) near: usize,
    pub(crate) coherence: Coherence,
    pub(crate) max_staleness: Duration,
    pub(crate) consistency: Consistency,
    pub(crate) write: WritePolicy,
    pub(crate) write_gate: WriteGate,
    pub(crate) log_max: usize,
    pub(crate) ttl: Ttl,
    pub(crate) grace: Duration,
    pub(crate) negative_ttl: Duration,
    pub(crate) jitter: f64,
    pub(crate) refresh_ahead: Option<f64>,
    pub(crate) xfetch: Option<f64>,
    pub(crate) lease: Duration,
    pub(crate) hold: Duration,
    pub(crate) wait_budget: Option<Duration>,
    pub(crate) load_timeout: Option<Duration>,
    pub(crate) soft_deadline: Option<Duration>,
    pub(crate) retry_after: Duration,
    pub(crate) min_refill_interval: Duration,
    pub(crate) max_loads: usize,
    pub(crate) max_queued_loads: usize,
    pub(crate) on_store_down: OnStoreDown,
    pub(crate) on_new_generation: Option<NewGeneration>,
    pub(crate) wait_replicas: u32,
    pub(crate) codec: Codec,
    pub(crate) keep_pending: Option<PendingLog>,
    pub(crate) schema_revision: u16,
    pub(crate) tags: Option<TagsOf<V>>,
}

/// How far behind a near copy may be: several heartbeats, so that one that is late does not empty the tier.
pub(crate) const BOUND: Duration = Duration::from_secs(1);
/// The shortest bound: a heartbeat every 10 ms, and a kernel clock that ticks every 4.
pub(crate) const BOUND_LEAST: Duration = Duration::from_millis(40);
/// By how much the clocks of two machines may run apart (A5): ten times what a quartz does, twice what NTP slews.
const CLOCK_RATE_ERROR: f64 = 0.001;
/// The near tier reads a kernel clock that may be so far behind (R9).
const TICK: Duration = Duration::from_millis(4);
/// How long a lease lasts without renewal: long enough to outlive a pause of the process, short enough that a dead
/// loader is replaced soon.
pub(crate) const LEASE: Duration = Duration::from_secs(3);
/// Loads at a time: a stampede over many keys must not become one of the source.
pub(crate) const MAX_LOADS: usize = 64;
/// Loads that wait for one of those: 64 for each. Whoever came behind them would wait for longer than a user does.
pub(crate) const MAX_QUEUED_LOADS: usize = 64 * MAX_LOADS;
/// How long a key is left alone after a failed refresh: a source that is down must not be asked at every read.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long a writer's hold lasts: above the longest commit.
pub(crate) const HOLD: Duration = Duration::from_secs(10);
/// How long "there is none" is remembered: an insert by someone who does not invalidate shows after it.
pub(crate) const NEGATIVE_TTL: Duration = Duration::from_secs(5);
/// Share of the TTL by which it is shortened at most, so that what was stored together does not expire together.
pub(crate) const JITTER: f64 = 0.1;
/// How long a load may take: a hung source must not hold a lease and a load slot for ever.
pub(crate) const LOAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Up to this hard TTL a stale value that nobody repeats the invalidation of goes away soon enough by itself.
pub(crate) const REPLAY_TTL_MAX: Duration = Duration::from_secs(600);
/// Tags per entry: the scripts look at each.
pub(crate) const MAX_TAGS: usize = 64;
/// Bytes per tag: its length is one byte in the record.
pub const TAG_BYTES: usize = 255;

impl<V> Settings<V> {
    pub(crate) fn new(ttl: Ttl) -> Self {
        Self {
            channel: None,
            on_gap: OnGap::default(),
            near: 0,
            coherence: Coherence::default(),
            max_staleness: BOUND,
            consistency: Consistency::default(),
            write: WritePolicy::default(),
            write_gate: WriteGate::default(),
            log_max: LOG_MAX,
            ttl,
            grace: Duration::ZERO,
            negative_ttl: NEGATIVE_TTL,
            jitter: JITTER,
            refresh_ahead: None,
            xfetch: None,
            lease: LEASE,
            hold: HOLD,
            wait_budget: None,
            load_timeout: Some(LOAD_TIMEOUT),
            soft_deadline: None,
            retry_after: RETRY_AFTER,
            min_refill_interval: Duration::ZERO,
            max_loads: MAX_LOADS,
            max_queued_loads: MAX_QUEUED_LOADS,
            on_store_down: OnStoreDown::default(),
            on_new_generation: None,
            wait_replicas: 0,
            codec: Codec::default(),
            schema_revision: 0,
            keep_pending: None,
            tags: None,
        }
    }

    /// What a new generation of the store makes necessary.
    pub(crate) fn new_generation(&self) -> NewGeneration {
        let by_default = || {
            let longest = self.ttl.span().saturating_add(self.grace);
            if longest > REPLAY_TTL_MAX {
                NewGeneration::Fence
            } else {
                NewGeneration::Replay
            }
        };
        self.on_new_generation.unwrap_or_else(by_default)
    }

    /// Whether there is a near tier that a log keeps true.
    pub(crate) fn reads_log(&self) -> bool {
        self.coherence == Coherence::Log && self.near > 0
    }

    /// How long a read waits for a load elsewhere before it loads by itself.
    pub(crate) fn wait_budget(&self) -> Duration {
        self.wait_budget.unwrap_or(self.lease * 2 + Duration::from_secs(1))
    }

    /// How long after an invalidation some near tier may serve from before it: δ(1 + ρ) and a tick. Zero: there is none.
    pub(crate) fn near_bound(&self) -> Duration {
        let bound = match self.coherence {
            Coherence::TtlOnly { max_staleness } => max_staleness,
            Coherence::Tracking | Coherence::Log => self.max_staleness,
        };
        if bound.is_zero() {
            return Duration::ZERO;
        }
        bound.mul_f64(1.0 + CLOCK_RATE_ERROR).saturating_add(TICK)
    }

    pub(crate) fn lease_ms(&self) -> u64 {
        millis(self.lease)
    }

    /// Each setting by its name, as two caches of one namespace must agree on them.
    pub(crate) fn compared(&self) -> Vec<(&'static str, String)> {
        vec![
            ("channel", format!("{:?}", self.channel)),
            ("on_gap", format!("{:?}", self.on_gap)),
            ("near", self.near.to_string()),
            ("coherence", format!("{:?}", self.coherence)),
            ("max_staleness", format!("{:?}", self.max_staleness)),
            ("consistency", format!("{:?}", self.consistency)),
            ("write", format!("{:?}", self.write)),
            ("write_gate", format!("{:?}", self.write_gate)),
            ("log_max", self.log_max.to_string()),
            ("ttl", format!("{:?}", self.ttl)),
            ("grace", format!("{:?}", self.grace)),
            ("negative_ttl", format!("{:?}", self.negative_ttl)),
            ("jitter", self.jitter.to_string()),
            ("refresh_ahead", format!("{:?}", self.refresh_ahead)),
            ("xfetch", format!("{:?}", self.xfetch)),
            ("lease", format!("{:?}", self.lease)),
            ("hold_for", format!("{:?}", self.hold)),
            ("wait_budget", format!("{:?}", self.wait_budget)),
            ("load_timeout", format!("{:?}", self.load_timeout)),
            ("soft_deadline", format!("{:?}", self.soft_deadline)),
            ("retry_after", format!("{:?}", self.retry_after)),
            ("min_refill_interval", format!("{:?}", self.min_refill_interval)),
            ("max_loads", self.max_loads.to_string()),
            ("max_queued_loads", self.max_queued_loads.to_string()),
            ("on_store_down", format!("{:?}", self.on_store_down)),
            ("wait_replicas", self.wait_replicas.to_string()),
            ("on_new_generation", format!("{:?}", self.new_generation())),
            ("codec", format!("{:?}", self.codec)),
            ("schema_revision", self.schema_revision.to_string()),
            (
                "keep_pending",
                self.keep_pending.as_ref().map_or_else(String::new, ToString::to_string),
            ),
            ("tags", self.tags.is_some().to_string()),
        ]
    }
}

/// Whole milliseconds, at least 1 for a span that is not empty: 0 means something else to a server.
pub(crate) fn millis(span: Duration) -> u64 {
    let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    if ms == 0 && !span.is_zero() {
        1
    } else {
        ms.min(IMMORTAL.as_millis() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_life_is_fenced_unless_told_otherwise() {
        let policy = |ttl: Ttl, grace: u64| {
            let mut settings = Settings::<u64>::new(ttl);
            settings.grace = Duration::from_secs(grace);
            settings.new_generation()
        };
        let seconds = |n| Ttl::of(Duration::from_secs(n));
        assert_eq!(policy(seconds(600), 0), NewGeneration::Replay);
        assert_eq!(policy(seconds(600), 1), NewGeneration::Fence);
        assert_eq!(policy(Ttl::never(), 0), NewGeneration::Fence);
        let mut settings = Settings::<u64>::new(Ttl::never());
        settings.on_new_generation = Some(NewGeneration::Replay);
        assert_eq!(settings.new_generation(), NewGeneration::Replay);
    }
}
