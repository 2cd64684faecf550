//! A connection of one's own, which is the lock as long as it lives.

use std::time::Duration;

use larder_kit::lock::Fence;
use sqlx::{AssertSqlSafe, Connection as _, PgPool, Postgres, pool::PoolConnection, postgres::PgPoolOptions};

use crate::error::{ErrorKind, SqlError};

/// Under which `pg_stat_activity` shows them.
const APPLICATION: &str = "larder lock";

/// A connection that stood idle for longer is asked first whether it is still there.
const PING_AFTER: Duration = Duration::from_secs(1);

/// For a connection, and for a statement, which each take a millisecond.
const DEADLINE: Duration = Duration::from_secs(5);

/// Takes the lock and draws its fence, both or neither: a number above that of every holder before, and of about the size that
/// a store's clock gives, in microseconds.
const LOCK: &str = "INSERT INTO larder_fences AS l (resource, fence, raised_at) \
     SELECT $2, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint \
     WHERE pg_try_advisory_lock($1) \
     ON CONFLICT (resource) DO UPDATE SET fence = greatest(l.fence + 1, EXCLUDED.fence), raised_at = EXCLUDED.raised_at \
     RETURNING fence";

/// Connections for locks alone: no statement of anybody else's runs on them.
#[derive(Clone, Debug)]
pub(super) struct Sessions(PgPool);

impl Sessions {
    /// To the database of `pool`, so many at most.
    pub(super) fn to(pool: &PgPool, most: u32, ttl: Duration) -> Self {
        let options = (*pool.connect_options()).clone().application_name(APPLICATION);
        let settings = settings(ttl);
        let pool = PgPoolOptions::new()
            .max_connections(most)
            .acquire_timeout(DEADLINE)
            // A ping before each use would double the round trips.
            .test_before_acquire(false)
            .before_acquire(|connection, state| {
                Box::pin(async move {
                    if state.idle_for > PING_AFTER {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .after_connect(move |connection, _| {
                let settings = settings.clone();
                Box::pin(async move {
                    sqlx::raw_sql(AssertSqlSafe(settings)).execute(connection).await?;
                    Ok(())
                })
            })
            .connect_lazy_with(options);
        Self(pool)
    }

    pub(super) async fn open(&self) -> Result<Session, SqlError> {
        let connection = self
            .0
            .acquire()
            .await
            .map_err(SqlError::query("connecting for a lock"))?;
        Ok(Session {
            connection: Some(connection),
            holds: None,
        })
    }
}

/// The server ends a session whose holder is gone without a word, but not before the holder, should it live, has given up.
fn settings(ttl: Duration) -> String {
    // PostgreSQL 13 has no limit for idle sessions, and would refuse to be told of one.
    const NO_IDLE_LIMIT: &str =
        "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'";
    let seconds = ttl.as_secs().max(1) + 1;
    format!(
        "SET statement_timeout = {}; SET lock_timeout = {}; {NO_IDLE_LIMIT}; SET tcp_keepalives_idle = {seconds}; \
         SET tcp_keepalives_interval = {seconds}; SET tcp_keepalives_count = 3",
        DEADLINE.as_millis(),
        (ttl / 3).as_millis().max(1)
    )
}

/// One connection. Dropped while it may hold a lock, it is closed, and the server frees what it held.
#[derive(Debug)]
pub(super) struct Session {
    connection: Option<PoolConnection<Postgres>>,
    /// The lock that it holds, or may hold.
    holds: Option<i64>,
}

impl Session {
    /// Takes the lock `number` if it is free, with the next fence of `resource`.
    pub(super) async fn lock(&mut self, number: i64, resource: &str) -> Result<Option<Fence>, SqlError> {
        let Some(connection) = &mut self.connection else {
            return Ok(None);
        };
        // From here on it may be held, whatever is heard of it: a lock of a session outlives a statement that fails.
        self.holds = Some(number);
        let fence = sqlx::query_scalar(LOCK)
            .bind(number)
            .bind(resource)
            .fetch_optional(&mut **connection)
            .await;
        match fence
            .map_err(SqlError::query("taking a lock"))
            .map_err(SqlError::or_no_fences)
        {
            Ok(Some(fence)) => Ok(Some(fence_of(fence))),
            Ok(None) => {
                self.holds = None;
                Ok(None)
            }
            // A transaction of the holder before is open still.
            Err(waited) if is_lock_timeout(&waited) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the connection, and so the lock, still lives; an error if that is not known.
    pub(super) async fn lives(&mut self) -> Result<bool, SqlError> {
        let Some(connection) = &mut self.connection else {
            return Ok(false);
        };
        match connection.ping().await.map_err(SqlError::query("keeping a lock")) {
            Ok(()) => Ok(true),
            Err(error) if error.is_connection_lost() => {
                self.connection = None;
                Ok(false)
            }
            Err(error) if error.kind() == ErrorKind::Retryable => Err(error),
            // Whatever else ends the session.
            Err(_) => Ok(false),
        }
    }

    /// Gives it back, and says whether it was held.
    pub(super) async fn unlock(&mut self) -> Result<bool, SqlError> {
        let (Some(connection), Some(number)) = (&mut self.connection, self.holds) else {
            return Ok(false);
        };
        let unlock = sqlx::query_scalar("SELECT pg_advisory_unlock($1)").bind(number);
        match unlock
            .fetch_one(&mut **connection)
            .await
            .map_err(SqlError::query("giving a lock back"))
        {
            Ok(was_held) => {
                // The next holder may use the connection.
                self.holds = None;
                Ok(was_held)
            }
            Err(error) if error.is_connection_lost() => {
                self.connection = None;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let (Some(connection), Some(_)) = (self.connection.take(), self.holds) {
            // Closed, not given to the next one with a lock on it.
            drop(connection.detach());
        }
    }
}

fn fence_of(number: i64) -> Fence {
    Fence::new(number.unsigned_abs())
}

fn is_lock_timeout(error: &SqlError) -> bool {
    let SqlError::Query {
        source: sqlx::Error::Database(error),
        ..
    } = error
    else {
        return false;
    };
    // lock_not_available
    error.code().as_deref() == Some("55P03")
}
