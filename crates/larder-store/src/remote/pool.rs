//! The pool of dedicated connections: bounded, aged, never handing on what a stranger left behind.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::solo::Solo;
use crate::{StoreConfig, StoreError};

/// How often the pool looks for connections to close or to open ahead of need.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Connections that are not in use, and the right to open more.
#[derive(Debug)]
pub(super) struct Pool {
    config: StoreConfig,
    free: Arc<Semaphore>,
    /// The last one returned is the first one taken, so that what is not needed grows old.
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    solo: Solo,
    since: Duration,
    dirty: bool,
}

/// A connection on loan from the pool.
#[derive(Debug)]
pub(crate) struct Loan {
    pool: Arc<Pool>,
    /// `None` after it was given back.
    solo: Option<Solo>,
    pub(crate) dirty: bool,
    /// Set while a command waits for its answer: a connection dropped in that state is closed.
    pub(crate) in_flight: bool,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(config: &StoreConfig) -> Arc<Self> {
        Arc::new(Self {
            config: config.clone(),
            free: Arc::new(Semaphore::new(config.pool.size)),
            idle: Mutex::default(),
        })
    }

    /// Takes a connection, an idle one if there is one that is still good.
    ///
    /// # Cancel safety
    /// Dropping the future gives back what was taken.
    pub(super) async fn take(self: &Arc<Self>) -> Result<Loan, StoreError> {
        let limit = self.config.pool.timeout;
        let permit = self
            .config
            .clock
            .timeout(limit, self.free.clone().acquire_owned())
            .await;
        let permit = permit.and_then(Result::ok).ok_or_else(|| StoreError::PoolTimeout {
            address: self.config.address(),
            waited: limit,
            size: self.config.pool.size,
        })?;
        let solo = match self.reusable().await {
            Some(solo) => solo,
            None => Solo::open(&self.config, |_| {}).await?,
        };
        Ok(Loan {
            pool: self.clone(),
            solo: Some(solo),
            dirty: false,
            in_flight: false,
            _permit: permit,
        })
    }

    /// An idle connection, reset if its last user changed it.
    async fn reusable(&self) -> Option<Solo> {
        loop {
            let mut idle = self.idle.lock().pop()?;
            if self.is_good(&idle) && (!idle.dirty || idle.solo.reset(&self.config).await) {
                return Some(idle.solo);
            }
        }
    }

    fn is_good(&self, idle: &Idle) -> bool {
        let now = self.config.clock.monotonic();
        let within =
            |since: Duration, limit: Option<Duration>| limit.is_none_or(|limit| now.saturating_sub(since) < limit);
        idle.solo.is_up()
            && within(idle.solo.opened, self.config.pool.max_age)
            && within(idle.since, self.config.pool.idle_timeout)
    }

    /// Closes what is too old and keeps `min_idle` connections ready, for as long as the store lives.
    pub(super) async fn keep(self: Arc<Self>) {
        loop {
            self.sweep();
            self.fill().await;
            self.config.clock.sleep(UPKEEP_EVERY).await;
        }
    }

    fn sweep(&self) {
        let kept = std::mem::take(&mut *self.idle.lock());
        let mut kept: Vec<Idle> = kept.into_iter().filter(|idle| self.is_good(idle)).collect();
        let mut idle = self.idle.lock();
        // What came back meanwhile is younger.
        kept.append(&mut idle);
        *idle = kept;
    }

    async fn fill(&self) {
        while self.idle.lock().len() < self.config.pool.min_idle {
            let Ok(_permit) = self.free.clone().try_acquire_owned() else {
                return;
            };
            match Solo::open(&self.config, |_| {}).await {
                Ok(solo) => self.put_back(solo, false),
                Err(error) => return tracing::debug!(%error, "no connection for the pool"),
            }
        }
    }

    /// Closes what is idle.
    pub(super) fn clear(&self) {
        let idle = std::mem::take(&mut *self.idle.lock());
        drop(idle);
    }

    fn put_back(&self, solo: Solo, dirty: bool) {
        let since = self.config.clock.monotonic();
        self.idle.lock().push(Idle { solo, since, dirty });
    }
}

impl Loan {
    pub(crate) fn conn(&mut self) -> &mut MultiplexedConnection {
        &mut self.solo.as_mut().expect("given back by drop alone").conn
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let Some(solo) = self.solo.take() else { return };
        if !self.in_flight && solo.is_up() {
            self.pool.put_back(solo, self.dirty);
        }
    }
}
