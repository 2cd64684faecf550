//! What a run does.

use std::{fmt, str::FromStr, time::Duration};

use larder_store::Store;

/// A kind of trouble that a run makes, again and again at random moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Single keys of the store are lost, as by eviction.
    Evict,
    /// Everything in the store is lost.
    Flush,
    /// A connection of the store's clients is cut.
    Disconnect,
    /// The server is killed, and comes back empty.
    Kill,
    /// The server stands still for a while, its connections open.
    Pause,
    /// One of the processes is killed, and another takes its place.
    Crash,
    /// The server is replaced by a replica that lags behind: what it acknowledged last is lost.
    Failover,
}

impl Fault {
    /// Every fault that takes no second server: all but [`Failover`](Self::Failover).
    pub const ALL: [Self; 6] = [
        Self::Evict,
        Self::Flush,
        Self::Disconnect,
        Self::Kill,
        Self::Pause,
        Self::Crash,
    ];

    /// The word that names it on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Evict => "evict",
            Self::Flush => "flush",
            Self::Disconnect => "disconnect",
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Crash => "crash",
            Self::Failover => "failover",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|fault| fault.name() == word).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            format!("no fault is called `{word}`; there are {known}")
        })
    }
}

/// How much is done, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Reads and writes together. 100,000 by default.
    pub ops: u64,
    /// Keys that they share: few, so that they collide. 8 by default.
    pub keys: u64,
    /// Tasks that read, for each subject. 6 by default.
    pub readers: usize,
    /// Tasks that write, for each subject. 2 by default.
    pub writers: usize,
    /// One operation of a writer for so many of a reader, by pausing in between. 20 by default.
    pub reads_per_write: u64,
    /// The longest pause before and after a loader looks at the row. 2 ms by default.
    pub load_delay: Duration,
    /// Troubles to make.
    pub faults: Vec<Fault>,
    /// The mean time between two of them. 20 ms by default.
    pub fault_every: Duration,
    /// A connection of its own to the server that the subjects use. It is looked at all the time, so that leases which it
    /// loses by itself, by eviction or a restart, are told from loads that no lease held apart. None by default.
    pub watched: Option<Store>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            ops: 100_000,
            keys: 8,
            readers: 6,
            writers: 2,
            reads_per_write: 20,
            load_delay: Duration::from_millis(2),
            faults: Vec::new(),
            fault_every: Duration::from_millis(20),
            watched: None,
        }
    }
}
