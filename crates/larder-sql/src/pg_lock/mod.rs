//! Locks in PostgreSQL, for work that must not rest on the store.
//!
//! | file | what it decides |
//! |---|---|
//! | `builder` | the settings and their defaults |
//! | `session` | a connection of one's own, which is the lock as long as it lives |
//! | `lease` | how a guard keeps one, and gives it back |

mod builder;
mod lease;
mod session;

use std::{sync::Arc, time::Duration};

use larder_base::{KeyLabel, Random};
use larder_kit::{
    ToolKey,
    lock::{Grant, Guard, Keeper, Lock, LockError, LockFuture},
};
use xxhash_rust::xxh3::xxh3_64;

pub use builder::PgLockBuilder;

use lease::PgLease;
use session::Sessions;

/// Between two attempts of one who waits, at first and at last; a random part of it, so that those who wait do not come at once.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// A lock per key in a PostgreSQL database: one holder at a time, across threads, tasks and processes. A cheap clone.
///
/// It is an *advisory lock* of a session: a connection that this holder alone has. It is held until it is given back or that
/// connection ends, so that a holder that dies is rid of it at once, and one that stands still keeps it. The server may end the
/// connection (a failover, a restart, an operator); the guard hears of that at its next heartbeat, a third of
/// [`ttl`](PgLockBuilder::ttl) later at most. Until then its [fence](larder_kit::lock::Fence) protects: it is drawn from the table
/// `larder_fences`, where the grant of the next holder raises it at once, and every [`FencedTx`](crate::FencedTx) of the one before
/// is turned away from then on.
///
/// Not through a pooler that shares connections by transaction, such as PgBouncer's `transaction` mode: a session's lock would be
/// anybody's.
///
/// ```no_run
/// # async fn shown() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// use larder_kit::lock::Lock;
/// use larder_sql::{FencedTx, Fences, PgLock, PoolConfig};
///
/// let pool = PoolConfig::new("postgres://shop@localhost/shop").open_postgres().await?;
/// Fences::new(pool.clone()).prepare().await?; // or `larder sql fences --db URL`
/// let invoices = PgLock::builder("invoices").pool(&pool).build()?;
///
/// let guard = invoices.acquire(&42).await?;
/// let mut tx = FencedTx::begin(&pool, &guard).await?;
/// sqlx::query("UPDATE invoice SET sent = true WHERE id = 42").execute(&mut *tx).await?;
/// tx.commit().await?;
/// guard.release().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PgLock(Arc<Locks>);

#[derive(Debug)]
struct Locks {
    namespace: String,
    sessions: Sessions,
    keeper: Keeper,
    random: Random,
    ttl: Duration,
    wait: Duration,
}

/// What is locked.
#[derive(Clone, Debug)]
struct Place {
    /// As in a store, so that fences go on growing where locks move from one to the other.
    resource: Arc<str>,
    label: KeyLabel,
}

impl PgLock {
    /// Builds the locks of `namespace` (`[a-z0-9_.-]+`), such as all those on invoices.
    pub fn builder(namespace: impl Into<String>) -> PgLockBuilder {
        PgLockBuilder::new(namespace.into())
    }

    fn place<K: ToolKey + ?Sized>(&self, key: &K) -> Place {
        let written = key.written();
        Place {
            resource: format!("lock:{{{}:{}}}", self.0.namespace, written.as_str()).into(),
            label: self.0.keeper.label(written.as_str()),
        }
    }
}

impl Locks {
    /// One attempt; `None` if another has it.
    async fn attempt(&self, place: &Place) -> Result<Option<Guard>, LockError> {
        let asked = self.ask(place).await;
        match &asked {
            Ok(Some(_)) => {}
            Ok(None) => self.keeper.count_busy(),
            Err(_) => self.keeper.count_failed(),
        }
        asked
    }

    async fn ask(&self, place: &Place) -> Result<Option<Guard>, LockError> {
        let mut session = self.sessions.open().await.map_err(LockError::backend)?;
        let sent = self.keeper.now();
        // The key of an advisory lock is a number: two names that share one would keep each other out, which never happens.
        let number = xxh3_64(place.resource.as_bytes()).cast_signed();
        let Some(fence) = session
            .lock(number, &place.resource)
            .await
            .map_err(LockError::backend)?
        else {
            return Ok(None);
        };
        let grant = Grant {
            sent,
            left: self.ttl,
            fence: Some(fence),
        };
        let lease = PgLease::new(session, place.resource.clone(), self.ttl);
        self.keeper.guard(place.label.clone(), Arc::new(lease), grant).map(Some)
    }

    async fn acquire_within(&self, place: &Place, wait: Duration) -> Result<Guard, LockError> {
        let clock = self.keeper.clock();
        let (began, mut pause) = (clock.monotonic(), PAUSES.0);
        loop {
            if let Some(guard) = self.attempt(place).await? {
                return Ok(guard);
            }
            let waited = clock.monotonic().saturating_sub(began);
            if waited >= wait {
                let key = place.label.clone();
                return Err(LockError::Busy { key, waited });
            }
            let jittered = pause.mul_f64(0.5 + self.random.unit() / 2.0);
            clock.sleep(jittered.min(wait.saturating_sub(waited))).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }
}

impl<K: ToolKey + ?Sized> Lock<K> for PgLock {
    fn try_acquire<'a>(&'a self, key: &'a K) -> LockFuture<'a, Option<Guard>> {
        let place = self.place(key);
        Box::pin(async move { self.0.attempt(&place).await })
    }

    fn acquire_within<'a>(&'a self, key: &'a K, wait: Duration) -> LockFuture<'a, Guard> {
        let place = self.place(key);
        Box::pin(async move { self.0.acquire_within(&place, wait).await })
    }

    fn acquire<'a>(&'a self, key: &'a K) -> LockFuture<'a, Guard> {
        self.acquire_within(key, self.0.wait)
    }
}
