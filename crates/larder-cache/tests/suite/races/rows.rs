//! The source of the races: rows whose value is the number of their last write, so that age can be read off.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_base::{Clock, Random};
use parking_lot::Mutex;

use super::network::Network;

/// Versions of rows: committed, and acknowledged as invalidated.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    versions: Arc<Mutex<HashMap<u64, Version>>>,
    loads: Arc<AtomicU64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Version {
    committed: u64,
    acknowledged: u64,
}

impl Rows {
    /// Writes the row: its new version.
    pub(crate) fn commit(&self, key: u64) -> u64 {
        let mut versions = self.versions.lock();
        let version = versions.entry(key).or_default();
        version.committed += 1;
        version.committed
    }

    /// The cache has acknowledged the invalidation that followed this commit.
    pub(crate) fn acknowledge(&self, key: u64, version: u64) {
        let mut versions = self.versions.lock();
        let known = versions.entry(key).or_default();
        known.acknowledged = known.acknowledged.max(version);
    }

    /// What a read that starts now must at least see.
    pub(crate) fn floor(&self, key: u64) -> u64 {
        self.versions.lock().get(&key).map_or(0, |version| version.acknowledged)
    }

    pub(crate) fn committed(&self, key: u64) -> u64 {
        self.versions.lock().get(&key).map_or(0, |version| version.committed)
    }

    pub(crate) fn loads(&self) -> u64 {
        self.loads.load(Ordering::Relaxed)
    }
}

/// How one process loads: a snapshot, then the time that the answer takes.
#[derive(Clone, Debug)]
pub(crate) struct Loader {
    pub(crate) rows: Rows,
    pub(crate) network: Arc<Network>,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
}

impl Loader {
    pub(crate) async fn load(&self, key: u64) -> u64 {
        self.network.travel().await;
        self.rows.loads.fetch_add(1, Ordering::Relaxed);
        let snapshot = self.rows.committed(key);
        if self.random.below(4) == 0 {
            self.clock.sleep(Duration::from_millis(self.random.below(80))).await;
        }
        self.network.travel().await;
        snapshot
    }
}
