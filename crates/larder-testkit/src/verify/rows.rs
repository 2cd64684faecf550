//! The source: one row a key, whose value is its version, or one that was drawn for it.

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use larder_base::{Clock, Random};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::values::Values;
use crate::history::{Event, History, Load, Moment, Recorder};

/// How long before its load a lease is granted: a reply's way and a turn of the scheduler.
const GRANTED_BEFORE: Moment = 20_000_000;

/// A versioned table in memory, which records its loads and gives versions to its writes.
#[derive(Debug)]
pub struct Rows {
    rows: Mutex<BTreeMap<u64, Row>>,
    values: Values,
    recorder: Recorder,
    clock: Clock,
    random: Random,
    delay: Duration,
    gate: watch::Sender<Gate>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    version: u64,
    /// What a load gives.
    value: u64,
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
            rows: Mutex::default(),
            values: Values::default(),
            recorder,
            clock,
            random,
            delay,
            gate: watch::Sender::default(),
        }
    }

    /// The value of `key` at some moment of the call, which is its version unless it was [put](Self::put): the snapshot that theorem T1 asks for.
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
        let look = async || Ok::<_, Infallible>(self.value(key));
        let Ok(value) = self.load_from(process, key, asked, look).await;
        value
    }

    /// As [`load_for`](Self::load_for), from where `look` finds the value: for a source of the subject's own.
    ///
    /// # Errors
    /// What `look` fails with; no load is recorded then.
    pub async fn load_from<E>(
        &self,
        process: u32,
        key: u64,
        asked: Moment,
        look: impl AsyncFnOnce() -> Result<u64, E>,
    ) -> Result<u64, E> {
        let start = self.recorder.now();
        self.pause().await;
        let value = look().await?;
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
        Ok(value)
    }

    /// Commits a new version of `key`: the version, and when it was certainly visible.
    pub fn commit(&self, key: u64) -> (u64, Moment) {
        self.commit_row(key, |version| version)
    }

    /// A value for a write, which no other write of this run has. Which version of its key it is will be known when it is
    /// [put](Self::put), or [placed](Self::place) by a subject with a source of its own.
    #[must_use]
    pub fn draw(&self) -> u64 {
        self.values.draw()
    }

    /// Commits a `value` that was [drawn](Self::draw), with a pause before and after it; when it was certainly visible.
    ///
    /// # Cancel safety
    /// Dropped, it may have been committed or not.
    pub async fn put(&self, key: u64, value: u64) -> Moment {
        self.pause().await;
        let (version, visible) = self.commit_row(key, |_| value);
        self.values.place(value, version);
        self.pause().await;
        visible
    }

    fn commit_row(&self, key: u64, value: impl FnOnce(u64) -> u64) -> (u64, Moment) {
        let version = {
            let mut rows = self.rows.lock();
            let row = rows.entry(key).or_default();
            row.version += 1;
            row.value = value(row.version);
            row.version
        };
        (version, self.recorder.now())
    }

    /// For a subject with a source of its own: `value` is this version of its key.
    pub fn place(&self, value: u64, version: u64) {
        self.values.place(value, version);
    }

    /// For a subject with a source of its own: in the end its row of `key` has this `value`, which was placed.
    pub fn rest(&self, key: u64, value: u64) {
        let version = self.values.version(value).unwrap_or_default();
        self.rows.lock().insert(key, Row { version, value });
    }

    /// The version of `key` now.
    #[must_use]
    pub fn version(&self, key: u64) -> u64 {
        self.rows.lock().get(&key).map_or(0, |row| row.version)
    }

    fn value(&self, key: u64) -> u64 {
        self.rows.lock().get(&key).map_or(0, |row| row.value)
    }

    /// The value of every row that was written.
    #[must_use]
    pub fn all(&self) -> BTreeMap<u64, u64> {
        self.rows.lock().iter().map(|(key, row)| (*key, row.value)).collect()
    }

    /// The version of every row that was written.
    pub(super) fn versions(&self) -> BTreeMap<u64, u64> {
        self.rows.lock().iter().map(|(key, row)| (*key, row.version)).collect()
    }

    /// What was recorded, by versions, and how many reads it does not have: see [`Outcome::unplaced`](super::Outcome::unplaced).
    pub(super) fn history(&self) -> (History, u64) {
        self.values.in_order(self.recorder.take())
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

    /// A pause, of up to the time that was given for before and after a look.
    pub async fn pause(&self) {
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
