//! A source that keeps versions, fails in every way, and remembers every version that it ever took: so that a test can ask
//! whether the last accepted write of each key is there (C11) and whether what it took went forwards only (C12).

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use larder_cache::{BoxError, Change, CountAs, Counted, SharedSink, Sink, SinkError, Source, Version};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// What the next commits meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Weather {
    #[default]
    Fair,
    /// Refused for now, as by a deadlock or a database that is down.
    Down,
    /// Committed, and the writer is not told.
    Unheard,
    /// Not committed, and the writer is not told.
    Vain,
    /// Waits at the gate after it has committed.
    Gated,
}

/// When a change counts as newer than what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Guard {
    /// If its version is higher, as the protocol says.
    #[default]
    Less,
    /// M18: if it is not lower.
    LessOrEqual,
}

/// A cheap clone; all share the rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<State>);

#[derive(Debug, Default)]
struct State {
    rows: Mutex<Rows>,
    gate: Notify,
    at_gate: Notify,
    loads: Notify,
    epoch: Notify,
}

#[derive(Debug, Default)]
struct Rows {
    values: BTreeMap<u64, (Version, Option<u64>)>,
    history: BTreeMap<u64, Vec<Version>>,
    epoch: u64,
    weather: Weather,
    guard: Guard,
    /// Values that are refused for good.
    poison: BTreeSet<u64>,
    /// Values that make it panic.
    bombs: BTreeSet<u64>,
    commits: u64,
    epochs: u64,
    holds_epoch: bool,
    /// Counters, and what was noted of each in each epoch.
    counters: BTreeMap<u64, i64>,
    noted: BTreeMap<(u64, u64), Counted<u64>>,
    loads: u64,
    holds_loads: bool,
}

impl Ledger {
    /// With rows of no version, as somebody else wrote them.
    pub(crate) fn of(rows: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let ledger = Self::default();
        let values = rows
            .into_iter()
            .map(|(key, value)| (key, (Version::default(), Some(value))));
        ledger.0.rows.lock().values.extend(values);
        ledger
    }

    pub(crate) fn guarded(guard: Guard) -> Self {
        let ledger = Self::default();
        ledger.0.rows.lock().guard = guard;
        ledger
    }

    pub(crate) fn weather(&self, weather: Weather) {
        self.0.rows.lock().weather = weather;
        if weather != Weather::Gated {
            self.0.gate.notify_waiters();
        }
    }

    /// Somebody waits at the gate.
    pub(crate) async fn gated(&self) {
        self.0.at_gate.notified().await;
    }

    /// Loads that begin from now on have read their row, and are not answered before this ends.
    pub(crate) fn hold_loads(&self, hold: bool) {
        self.0.rows.lock().holds_loads = hold;
        if !hold {
            self.0.loads.notify_waiters();
        }
    }

    /// The next epoch is drawn, and whoever drew it does not hear of it before [`let_epoch_go`](Self::let_epoch_go).
    pub(crate) fn hold_next_epoch(&self) {
        self.0.rows.lock().holds_epoch = true;
    }

    pub(crate) fn let_epoch_go(&self) {
        self.0.epoch.notify_one();
    }

    pub(crate) fn poison(&self, value: u64, is_poison: bool) {
        let poison = &mut self.0.rows.lock().poison;
        if is_poison {
            poison.insert(value);
        } else {
            poison.remove(&value);
        }
    }

    pub(crate) fn bomb(&self, value: u64) {
        self.0.rows.lock().bombs.insert(value);
    }

    pub(crate) fn row(&self, key: u64) -> Option<u64> {
        self.0.rows.lock().values.get(&key).and_then(|(_, value)| *value)
    }

    pub(crate) fn commits(&self) -> u64 {
        self.0.rows.lock().commits
    }

    pub(crate) fn epochs(&self) -> u64 {
        self.0.rows.lock().epochs
    }

    pub(crate) fn loads(&self) -> u64 {
        self.0.rows.lock().loads
    }

    /// How many versions of `key` it took.
    pub(crate) fn taken(&self, key: u64) -> usize {
        self.0.rows.lock().history.get(&key).map_or(0, Vec::len)
    }

    pub(crate) fn counter(&self, key: u64) -> i64 {
        self.0.rows.lock().counters.get(&key).copied().unwrap_or_default()
    }

    pub(crate) fn count_from(&self, key: u64, count: i64) {
        self.0.rows.lock().counters.insert(key, count);
    }

    /// Keys whose row is not what was last accepted of them (C11).
    pub(crate) fn lost(&self, accepted: &BTreeMap<u64, Option<u64>>) -> Vec<u64> {
        let is_lost = |(key, value): (&u64, &Option<u64>)| (self.row(*key) != *value).then_some(*key);
        accepted.iter().filter_map(is_lost).collect()
    }

    /// Keys of which a version was taken that was not newer than the one before (C12).
    pub(crate) fn misordered(&self) -> Vec<u64> {
        let rows = self.0.rows.lock();
        let steps_back = |history: &Vec<Version>| history.windows(2).any(|pair| pair[0] >= pair[1]);
        rows.history
            .iter()
            .filter_map(|(key, history)| steps_back(history).then_some(*key))
            .collect()
    }

    fn commit(&self, changes: &[Change<u64, u64>]) -> Result<Weather, SinkError> {
        let mut rows = self.0.rows.lock();
        let weather = rows.weather;
        if weather == Weather::Down {
            return Err(SinkError::retryable(io::Error::other("the database is down")));
        }
        if weather == Weather::Vain {
            return Err(SinkError::in_doubt(io::Error::other("the connection was lost")));
        }
        let keys: BTreeSet<u64> = changes.iter().map(|change| change.key).collect();
        assert_eq!(keys.len(), changes.len(), "each key at most once");
        assert!(
            !changes
                .iter()
                .any(|change| change.value.is_some_and(|value| rows.bombs.contains(&value))),
            "a bomb"
        );
        if changes
            .iter()
            .any(|change| change.value.is_some_and(|value| rows.poison.contains(&value)))
        {
            return Err(SinkError::permanent(io::Error::other("a constraint refuses it")));
        }
        for change in changes {
            let there = rows
                .values
                .get(&change.key)
                .map_or(Version::default(), |(version, _)| *version);
            let is_newer = match rows.guard {
                Guard::Less => there < change.version,
                Guard::LessOrEqual => there <= change.version,
            };
            if is_newer {
                rows.values.insert(change.key, (change.version, change.value));
                rows.history.entry(change.key).or_default().push(change.version);
            }
        }
        rows.commits += 1;
        Ok(weather)
    }
}

impl Source<u64, u64> for Ledger {
    async fn load(&self, key: &u64) -> Result<Option<u64>, BoxError> {
        let mut opened = std::pin::pin!(self.0.loads.notified());
        opened.as_mut().enable();
        let (row, is_held) = {
            let mut rows = self.0.rows.lock();
            rows.loads += 1;
            (rows.values.get(key).and_then(|(_, value)| *value), rows.holds_loads)
        };
        if is_held {
            opened.await;
        }
        Ok(row)
    }

    fn sink(&self) -> Option<SharedSink<u64, u64>> {
        Some(SharedSink::new(self.clone()))
    }
}

impl Sink<u64, u64> for Ledger {
    async fn put(&self, _key: &u64, _value: &u64) -> Result<(), SinkError> {
        Err(SinkError::unsupported("takes versioned changes alone"))
    }

    async fn remove(&self, _key: &u64) -> Result<bool, SinkError> {
        Err(SinkError::unsupported("takes versioned changes alone"))
    }

    async fn claim_epoch(&self, namespace: &str) -> Result<u64, SinkError> {
        assert_eq!(namespace, "behind");
        let (epoch, is_held) = {
            let mut rows = self.0.rows.lock();
            if rows.weather == Weather::Down {
                return Err(SinkError::retryable(io::Error::other("the database is down")));
            }
            rows.epoch += 1;
            rows.epochs += 1;
            (rows.epoch, std::mem::take(&mut rows.holds_epoch))
        };
        if is_held {
            self.0.epoch.notified().await;
        }
        Ok(epoch)
    }

    async fn count(&self, _namespace: &str, counts: &[Counted<u64>]) -> Result<(), SinkError> {
        tokio::task::yield_now().await;
        let mut rows = self.0.rows.lock();
        match rows.weather {
            Weather::Down => return Err(SinkError::retryable(io::Error::other("the database is down"))),
            Weather::Vain => return Err(SinkError::in_doubt(io::Error::other("the connection was lost"))),
            _ => {}
        }
        for count in counts {
            let place = (count.key, count.version.epoch);
            let noted = rows.noted.get(&place).copied();
            if noted.is_some_and(|noted| noted.version.seq >= count.version.seq) {
                continue;
            }
            let known = noted
                .filter(|noted| noted.series == count.series)
                .map_or(0, |noted| noted.total);
            let is_latest = rows
                .noted
                .keys()
                .all(|(key, epoch)| *key != count.key || *epoch <= place.1);
            let counter = rows.counters.entry(count.key).or_default();
            match count.how {
                CountAs::Sum => *counter += count.total - known,
                CountAs::Total if is_latest => *counter = count.total,
                CountAs::Total => {}
            }
            rows.noted.insert(place, *count);
        }
        match rows.weather {
            Weather::Unheard => Err(SinkError::in_doubt(io::Error::other("the connection was lost"))),
            _ => Ok(()),
        }
    }

    async fn apply(&self, _namespace: &str, changes: &[Change<u64, u64>]) -> Result<(), SinkError> {
        let mut opened = std::pin::pin!(self.0.gate.notified());
        opened.as_mut().enable();
        // A commit takes its time, in which its caller may be gone.
        tokio::task::yield_now().await;
        let weather = self.commit(changes)?;
        tokio::task::yield_now().await;
        match weather {
            Weather::Unheard => Err(SinkError::in_doubt(io::Error::other("the connection was lost"))),
            Weather::Gated => {
                self.0.at_gate.notify_one();
                opened.await;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
