//! The source: one row a key, whose value is its version.

use std::{collections::BTreeMap, time::Duration};

use larder_base::{Clock, Random};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::history::{Event, Load, Moment, Recorder};

/// How long before its load a lease is granted: a reply's way and a turn of the scheduler.
const GRANTED_BEFORE: Moment = 20_000_000;

/// A versioned table in memory, which records its loads and gives versions to its writes.
#[derive(Debug)]
pub struct Rows {
    versions: Mutex<BTreeMap<u64, u64>>,
    recorder: Recorder,
    clock: Clock,
    random: Random,
    delay: Duration,
    gate: watch::Sender<Gate>,
}

/// Where loads wait that have seen their row.
#[derive(Clone, Copy, Debug, Default)]
struct Gate {
    closed: bool,
    waiting: usize,
}

impl Rows {
    /// An empty table; a load pauses for up to `delay` before and after it looks.
    #[must_use]
    pub fn new(clock: Clock, random: Random, delay: Duration) -> Self {
        let recorder = Recorder::with_clock(clock.clone());
        Self {
            versions: Mutex::default(),
            recorder,
            clock,
            random,
            delay,
            gate: watch::Sender::default(),
        }
    }

    /// The version of `key` at some moment of the call: the snapshot that theorem T1 asks for.
    ///
    /// For caches without leases, or where the machine is quick: the lease is taken to be [granted](Self::load_for) at most
    /// 20 ms before.
    pub async fn load(&self, process: u32, key: u64) -> u64 {
        let asked = self.recorder.now().saturating_sub(GRANTED_BEFORE);
        self.load_for(process, key, asked).await
    }

    /// As [`load`](Self::load), for a read that began at `asked`: the lease was granted after that, which is what rule C7
    /// needs to know on a machine that is busy.
    pub async fn load_for(&self, process: u32, key: u64, asked: Moment) -> u64 {
        let start = self.recorder.now();
        self.pause().await;
        let version = self.version(key);
        self.wait_at_gate().await;
        self.pause().await;
        let end = self.recorder.now();
        self.recorder.note(Event::Load(Load {
            process,
            key,
            asked,
            start,
            end,
        }));
        version
    }

    /// Commits a new version of `key`: the version, and when it was certainly visible.
    pub fn commit(&self, key: u64) -> (u64, Moment) {
        let version = {
            let mut versions = self.versions.lock();
            let version = versions.entry(key).or_default();
            *version += 1;
            *version
        };
        (version, self.recorder.now())
    }

    /// The version of `key` now.
    #[must_use]
    pub fn version(&self, key: u64) -> u64 {
        self.versions.lock().get(&key).copied().unwrap_or(0)
    }

    /// Every row that was written.
    #[must_use]
    pub fn all(&self) -> BTreeMap<u64, u64> {
        self.versions.lock().clone()
    }

    /// Where the events of this run are noted.
    #[must_use]
    pub const fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// From now on a load stands still once it has seen its row, until [`let_loads_go`](Self::let_loads_go).
    pub fn hold_loads(&self) {
        self.gate.send_modify(|gate| gate.closed = true);
    }

    /// Waits until so many loads stand still.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn loads_held(&self, loads: usize) {
        // An error would mean that the sender is gone, and it is this table's own.
        let _ = self.gate.subscribe().wait_for(|gate| gate.waiting >= loads).await;
    }

    /// Ends [`hold_loads`](Self::hold_loads).
    pub fn let_loads_go(&self) {
        self.gate.send_modify(|gate| gate.closed = false);
    }

    async fn wait_at_gate(&self) {
        if !self.gate.borrow().closed {
            return;
        }
        let _waiting = Waiting::new(&self.gate);
        // As above: the sender is this table's own.
        let _ = self.gate.subscribe().wait_for(|gate| !gate.closed).await;
    }

    async fn pause(&self) {
        let span = self.delay.mul_f64(self.random.unit());
        if !span.is_zero() {
            self.clock.sleep(span).await;
        }
    }
}

/// A load at the gate; counted as long as it lives, for a load may be dropped there.
struct Waiting<'a>(&'a watch::Sender<Gate>);

impl<'a> Waiting<'a> {
    fn new(gate: &'a watch::Sender<Gate>) -> Self {
        gate.send_modify(|gate| gate.waiting += 1);
        Self(gate)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|gate| gate.waiting -= 1);
    }
}
