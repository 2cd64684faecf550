//! What is set for write-behind, with its defaults and their reasons.

use std::{fmt, time::Duration};

use crate::Error;

/// How safe an accepted write is before the source has it: what the store has done with it when `put` returns `Ok`.
///
/// There is no default: what a crash may cost is the caller's to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// It is in the memory of the primary. A crash of the store loses what was not flushed yet.
    Memory,
    /// It is on the primary's disk: a server with `appendonly yes` and `appendfsync always`, or an embedded store with
    /// `fsync=always`. A crash loses nothing; losing the disk, or a failover to a replica that lags, does. (`everysec` is
    /// refused: it loses up to some two seconds, on kill -9 too.)
    Fsync,
    /// So many replicas have it, at least one (`WAIT`): a failover to one of them loses nothing. Costs a connection of its own
    /// and the way to the replicas and back.
    Replicated(u32),
}

impl fmt::Display for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("Ack::Memory"),
            Self::Fsync => f.write_str("Ack::Fsync"),
            Self::Replicated(n) => write!(f, "Ack::Replicated({n})"),
        }
    }
}

/// How counters reach the source under write-behind: see [`Cache::incr`](crate::Cache::incr).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CountAs {
    /// What was added since the source was last told is added to what it has. The store's counter may expire or be lost; the
    /// source's goes on from where it is.
    #[default]
    Sum,
    /// The source's counter becomes the store's. The store is where the counter lives: it does not expire there, and one that
    /// is lost there begins at 0 again, at the source too.
    Total,
}

/// The settings of [`WritePolicy::Behind`](crate::WritePolicy::Behind).
///
/// Writes are accepted by the store, which answers reads with them at once, and committed to the source later, in batches:
/// of a key that is written often only the last value.
///
/// ```
/// use std::time::Duration;
/// use larder_cache::{Ack, WriteBehind, WritePolicy};
///
/// let policy = WritePolicy::Behind(WriteBehind::new(Ack::Fsync).delay(Duration::from_millis(500)).batch(1_000));
/// # let _ = policy;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct WriteBehind {
    pub(crate) ack: Ack,
    pub(crate) delay: Duration,
    pub(crate) batch: usize,
    pub(crate) concurrency: usize,
    pub(crate) max_entries: usize,
    pub(crate) max_bytes: usize,
    pub(crate) wait: Duration,
    pub(crate) visibility: Duration,
    pub(crate) dead_letters: usize,
    pub(crate) count_as: CountAs,
    pub(crate) flushes: bool,
}

/// How long a write waits for others of its key: a page that saves as one types is one commit, and the source is still seldom
/// behind by more than a blink.
pub(crate) const DELAY: Duration = Duration::from_millis(100);
/// Changes per commit: enough that its cost is that of the rows, few enough that it holds its locks for milliseconds.
pub(crate) const FLUSH_BATCH: usize = 200;
/// Commits at a time: while one waits for the disk, another is prepared. SQLite takes one at a time anyway.
pub(crate) const CONCURRENCY: usize = 2;
/// Dirty keys per partition: a million in all, which is an outage of the source of minutes for most services.
pub(crate) const MAX_ENTRIES: usize = 16_384;
/// Dirty bytes per partition, keys included: 1 GiB in all, and above the largest value.
pub(crate) const MAX_BYTES: usize = 16 << 20;
/// How long a write waits for room or for the store: what a user bears.
pub(crate) const WAIT: Duration = Duration::from_secs(5);
/// How long what one flusher took is left alone by others: above the longest commit of a healthy source.
pub(crate) const VISIBILITY: Duration = Duration::from_secs(30);
/// Dead letters per partition, some 8,000 in all: a constraint that some rows break, not a source that refuses everything.
pub(crate) const DEAD_LETTERS: usize = 128;

/// The longest delay and visibility: beyond an hour it is a job queue that is wanted.
const SPAN_MAX: Duration = Duration::from_secs(3600);
/// What of a partition's bytes a key and the head of a record may take beside the largest value.
const HEAD_MAX: usize = 32 * 1024;

impl WriteBehind {
    /// Write-behind whose writes are as safe as `ack` says before they count as accepted.
    ///
    /// [`CacheBuilder::build`](crate::CacheBuilder::build) refuses a level that the store cannot keep, naming what is missing.
    pub const fn new(ack: Ack) -> Self {
        Self {
            ack,
            delay: DELAY,
            batch: FLUSH_BATCH,
            concurrency: CONCURRENCY,
            max_entries: MAX_ENTRIES,
            max_bytes: MAX_BYTES,
            wait: WAIT,
            visibility: VISIBILITY,
            dead_letters: DEAD_LETTERS,
            count_as: CountAs::Sum,
            flushes: true,
        }
    }

    /// How long the first write of a key waits for later ones before it is flushed. Default 100 ms, at most an hour. Reads see
    /// the write at once all the same.
    pub const fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Changes per commit at most. Default 200.
    pub const fn batch(mut self, changes: usize) -> Self {
        self.batch = changes;
        self
    }

    /// Commits at a time of this process. Default 2.
    pub const fn concurrency(mut self, commits: usize) -> Self {
        self.concurrency = commits;
        self
    }

    /// Keys of one of the 64 partitions that may wait to be flushed. Default 16,384. Beyond that writes of new keys wait
    /// ([`wait`](Self::wait)); nothing is ever dropped.
    pub const fn max_entries(mut self, keys: usize) -> Self {
        self.max_entries = keys;
        self
    }

    /// Bytes of one of the 64 partitions that may wait to be flushed, keys included. Default 16 MiB; at least the codec's
    /// `value_max` and 32 KiB.
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How long a write waits while there is no room, or while the store does not answer, before it fails with
    /// [`ErrorKind::Backpressure`](crate::ErrorKind::Backpressure) or what kept the store from answering. Default 5 s.
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// How long what a flusher took is left to it: after that it counts as dead, and any other takes it over. Also the longest
    /// time that a commit may take. Default 30 s, at most an hour.
    pub const fn visibility(mut self, timeout: Duration) -> Self {
        self.visibility = timeout;
        self
    }

    /// Changes of one of the 64 partitions that may lie among the [dead letters](crate::Cache::dead_letters). Default 128.
    /// Beyond that the partition is not flushed any more, until somebody tends them; nothing is ever dropped.
    pub const fn dead_letters(mut self, letters: usize) -> Self {
        self.dead_letters = letters;
        self
    }

    /// How counters reach the source. Default [`CountAs::Sum`].
    pub const fn count_as(mut self, how: CountAs) -> Self {
        self.count_as = how;
        self
    }

    /// Whether this process flushes. Default `true`: every process takes what is due, and none owns it. With `false` some other
    /// process has to, another of the service or `larder worker`.
    pub const fn flushes(mut self, flushes: bool) -> Self {
        self.flushes = flushes;
        self
    }

    /// Refuses what makes no sense, naming it.
    pub(crate) fn check(&self, value_max: usize) -> Result<(), Error> {
        let at_least_one = [
            ("batch", self.batch),
            ("concurrency", self.concurrency),
            ("max_entries", self.max_entries),
            ("dead_letters", self.dead_letters),
        ];
        if let Some((name, _)) = at_least_one.iter().find(|(_, n)| *n == 0) {
            return Err(Error::config(format!(
                "`WriteBehind::{name}` is 0, so that nothing would ever be flushed"
            )));
        }
        if self.ack == Ack::Replicated(0) {
            return Err(Error::config(
                "`Ack::Replicated(0)` waits for no replica; `Ack::Memory` says so",
            ));
        }
        for (name, span) in [("delay", self.delay), ("visibility", self.visibility)] {
            if span > SPAN_MAX {
                return Err(Error::config(format!(
                    "`WriteBehind::{name}` is {span:?}, and the source would be behind for so long; at most {SPAN_MAX:?}"
                )));
            }
        }
        if self.visibility < Duration::from_millis(10) {
            return Err(Error::config(
                "`WriteBehind::visibility` is below 10 ms: every commit would be taken for one of a dead process",
            ));
        }
        if self.max_bytes < value_max.saturating_add(HEAD_MAX) {
            return Err(Error::config(format!(
                "`WriteBehind::max_bytes` is {}, and the largest value (`value_max` {value_max} and 32 KiB beside it) would \
                 wait for room for ever; raise it, or lower the codec's `value_max`",
                self.max_bytes
            )));
        }
        Ok(())
    }
}
