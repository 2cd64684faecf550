//! Building a lock: every setting with its default.

use std::{sync::Arc, time::Duration};

use larder_base::{Clock, Random};
use larder_kit::lock::{Keeper, LockError};
use sqlx::PgPool;

use super::{Locks, PgLock, session::Sessions};

/// A holder's default: so long it may go without a word from the server.
const TTL: Duration = Duration::from_secs(10);

/// Below it a heartbeat would have less time than a busy machine takes for a round trip.
const TTL_MIN: Duration = Duration::from_millis(100);

/// Beyond it nobody would hear of a loss in time.
const TTL_MAX: Duration = Duration::from_secs(24 * 3_600);

/// How long `acquire` waits by default, as for locks in a store.
const WAIT: Duration = Duration::from_secs(30);

/// Connections by default: PostgreSQL takes 100 in all.
const HELD: u32 = 16;

/// Builds a [`PgLock`]. Required: [`pool`](Self::pool).
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing before `build`"]
pub struct PgLockBuilder {
    namespace: String,
    pool: Option<PgPool>,
    ttl: Duration,
    wait: Duration,
    held: u32,
    clock: Clock,
}

impl PgLockBuilder {
    pub(super) fn new(namespace: String) -> Self {
        Self {
            namespace,
            pool: None,
            ttl: TTL,
            wait: WAIT,
            held: HELD,
            clock: Clock::system(),
        }
    }

    /// The database, as this pool is connected to it. Required. Locks have connections of their own, so that they take none from
    /// it.
    pub fn pool(mut self, pool: &PgPool) -> Self {
        self.pool = Some(pool.clone());
        self
    }

    /// For how long a holder goes without an answer of the server before it counts its lock as lost; it asks every third of it.
    /// Default 10 s, from 100 ms to a day. It says nothing about how long a lock lasts: that is as long as the connection.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// For how long [`acquire`](larder_kit::lock::Lock::acquire) waits while others hold it. Default 30 s.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// How many locks this and its clones hold at a time, each with a connection; more wait for one for up to 5 s and then fail.
    /// Default 16, at least 1.
    pub fn held(mut self, held: u32) -> Self {
        self.held = held.max(1);
        self
    }

    /// The clock of guards (default: the system's).
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Makes it. Nothing is asked of the database yet.
    ///
    /// # Errors
    /// [`LockError::Namespace`]; [`LockError::Config`] for what is missing or out of its range.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn build(self) -> Result<PgLock, LockError> {
        let Some(pool) = &self.pool else {
            return Err(LockError::Config(
                "a lock in PostgreSQL needs a pool: `.pool(&pool)`".into(),
            ));
        };
        if !(TTL_MIN..=TTL_MAX).contains(&self.ttl) {
            let ttl = self.ttl;
            let text = format!("a lock's `ttl` is from {TTL_MIN:?} to {TTL_MAX:?}, not {ttl:?}");
            return Err(LockError::Config(text));
        }
        let keeper = Keeper::new(&self.namespace, &self.clock)?;
        Ok(PgLock(Arc::new(Locks {
            sessions: Sessions::to(pool, self.held, self.ttl),
            namespace: self.namespace,
            keeper,
            random: Random::system(),
            ttl: self.ttl,
            wait: self.wait,
        })))
    }
}
