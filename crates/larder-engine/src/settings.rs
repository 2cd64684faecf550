//! What an operator may change while the engine runs: the values behind `CONFIG`.
//!
//! `CONFIG` reads and writes these fields; the server looks at them under the engine's lock with every batch of
//! commands, so a change holds for connections that are already open.

use std::time::Duration;

use crate::{evict::EvictionPolicy, notify::Selection, slow_log::SlowLogLimits};

/// The settings; `Default` is what `redis-server` starts with, but for the bound on unsent replies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// `requirepass`; empty is no password.
    pub(crate) password: Vec<u8>,
    /// `notify-keyspace-events`.
    pub(crate) notify: Selection,
    /// `maxclients`, and what one client may hold.
    pub(crate) wire: WireLimits,
    /// `maxmemory`, and what happens beyond it.
    pub(crate) memory: MemoryLimits,
    /// `slowlog-log-slower-than` and `slowlog-max-len`.
    pub(crate) slow_log: SlowLogLimits,
    /// `busy-reply-threshold`.
    pub(crate) script: ScriptLimit,
    /// `tracking-table-max-keys`.
    pub(crate) tracking: TrackingLimit,
    /// `auto-aof-rewrite-percentage` and `auto-aof-rewrite-min-size`.
    pub(crate) rewrite: RewriteLimits,
}

/// How much the databases may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryLimits {
    /// `maxmemory`: bytes of keys and values; 0 is no bound.
    pub(crate) max: usize,
    /// `maxmemory-policy`.
    pub(crate) policy: EvictionPolicy,
    /// `maxmemory-samples`: keys looked at for each one that is evicted.
    pub(crate) samples: usize,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            max: 0,
            policy: EvictionPolicy::NoEviction,
            samples: 5,
        }
    }
}

/// What a script may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScriptLimit {
    /// How long it may run.
    pub(crate) time_max: Duration,
}

impl Default for ScriptLimit {
    fn default() -> Self {
        Self {
            time_max: Duration::from_secs(5),
        }
    }
}

/// How many keys the table of client-side caching may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TrackingLimit {
    /// 0 is no bound.
    pub(crate) keys_max: usize,
}

impl Default for TrackingLimit {
    fn default() -> Self {
        Self { keys_max: 1_000_000 }
    }
}

/// When the log is rewritten by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RewriteLimits {
    /// By how much it has grown since the last rewrite, in percent; 0 is never.
    pub(crate) percentage: u64,
    /// Bytes below which it is left alone.
    pub(crate) min_size: u64,
}

impl Default for RewriteLimits {
    fn default() -> Self {
        Self {
            percentage: 100,
            min_size: 64 << 20,
        }
    }
}

/// What connections may take: looked at by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WireLimits {
    /// `maxclients`: connections at one time.
    pub(crate) clients_max: usize,
    /// `timeout`: a connection without a command for so long is closed; zero is never.
    pub(crate) idle_max: Duration,
    /// `proto-max-bulk-len`: bytes of one argument.
    pub(crate) bulk_max: usize,
    /// `client-query-buffer-limit`: bytes received and not yet executed.
    pub(crate) query_max: usize,
    /// `client-output-buffer-limit normal`: bytes answered and not yet read by the client.
    pub(crate) output: OutputLimit,
    /// `client-output-buffer-limit pubsub`: the same for a client with subscriptions.
    pub(crate) subscriber_output: OutputLimit,
}

impl Default for WireLimits {
    fn default() -> Self {
        Self {
            clients_max: 10_000,
            idle_max: Duration::ZERO,
            bulk_max: 512 << 20,
            query_max: 1 << 30,
            // Redis sets no bound here. A client that sends and never reads would then take all memory.
            output: OutputLimit {
                hard: 1 << 30,
                soft: 0,
                soft_for: Duration::ZERO,
            },
            subscriber_output: OutputLimit {
                hard: 32 << 20,
                soft: 8 << 20,
                soft_for: Duration::from_secs(60),
            },
        }
    }
}

/// How many bytes may wait for a client that does not read; zero is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OutputLimit {
    /// Beyond this the client is cut off at once.
    pub(crate) hard: usize,
    /// Beyond this for [`soft_for`](Self::soft_for) without a break, it is cut off too.
    pub(crate) soft: usize,
    pub(crate) soft_for: Duration,
}

impl OutputLimit {
    /// Whether so many waiting bytes are within [`hard`](Self::hard).
    pub(crate) const fn admits(&self, waiting: usize) -> bool {
        self.hard == 0 || waiting <= self.hard
    }
}
