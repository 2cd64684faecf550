//! The table as the scenes read it: counted, slowed down, or failing, as each of them needs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use larder::{BoxError, Clock, Source, SqlTable};

use super::users::Row;

/// A table whose loads are counted; clones share the counter and the switches.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    table: SqlTable,
    clock: Clock,
    delay: Duration,
    state: Arc<State>,
}

// Relaxed throughout: counters and a switch that order nothing else; joins order what the scenes compare.
#[derive(Debug, Default)]
struct State {
    loads: AtomicU64,
    rows: AtomicU64,
    is_down: AtomicBool,
}

impl Counted {
    pub(super) fn new(table: SqlTable, clock: Clock, delay: Duration) -> Self {
        Self {
            table,
            clock,
            delay,
            state: Arc::default(),
        }
    }

    /// The same table with counters of its own, each load taking at least `delay`.
    pub(super) fn fresh(&self, delay: Duration) -> Self {
        Self::new(self.table.clone(), self.clock.clone(), self.delay.max(delay))
    }

    /// How long each load is made to take beyond what the database needs.
    pub(super) fn delay(&self) -> Duration {
        self.delay
    }

    /// Calls so far.
    pub(super) fn loads(&self) -> u64 {
        self.state.loads.load(Ordering::Relaxed)
    }

    /// Keys asked for so far, over all calls.
    pub(super) fn keys_asked(&self) -> u64 {
        self.state.rows.load(Ordering::Relaxed)
    }

    /// Makes every load fail, or succeed again.
    pub(super) fn set_down(&self, is_down: bool) {
        self.state.is_down.store(is_down, Ordering::Relaxed);
    }

    /// One row, by the table's own hands; what a service without a cache would do.
    pub(super) async fn row(&self, key: &str) -> anyhow::Result<Option<Row>> {
        self.load(&key.to_owned()).await.map_err(anyhow::Error::from_boxed)
    }

    async fn begin(&self, keys: usize) -> Result<(), BoxError> {
        self.state.loads.fetch_add(1, Ordering::Relaxed);
        self.state.rows.fetch_add(keys as u64, Ordering::Relaxed);
        if !self.delay.is_zero() {
            self.clock.sleep(self.delay).await;
        }
        if self.state.is_down.load(Ordering::Relaxed) {
            return Err("the demo's source is switched off".into());
        }
        Ok(())
    }
}

impl Source<String, Row> for Counted {
    async fn load(&self, key: &String) -> Result<Option<Row>, BoxError> {
        self.begin(1).await?;
        self.table.load(key).await
    }

    async fn load_many(&self, keys: &[String]) -> Result<Vec<(String, Row)>, BoxError> {
        self.begin(keys.len()).await?;
        self.table.load_many(keys).await
    }
}
