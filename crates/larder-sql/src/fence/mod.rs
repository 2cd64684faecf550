//! Transactions under a lock, in which no statement of an overtaken holder takes effect.
//!
//! A lock that ends by itself has two holders for a moment: the process that stood still does not know that its time is over.
//! Each grant has a higher number than all before it, its *fence*; and the database, which sees both, turns the lower one away.
//!
//! | file | what it decides |
//! |---|---|
//! | `fences` | the table that knows the highest fence of each lock, and who looks after it |
//! | `sql` | every statement on it |

mod fences;
mod sql;

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use larder_base::KeyLabel;
use larder_cache::BoxError;
use larder_kit::lock::{Fence, Guard};
use sqlx::{AssertSqlSafe, Transaction};

pub use fences::Fences;
pub(crate) use sql::Table;

use crate::{
    db::InTransaction,
    error::{SqlError, is_connection_lost},
};

/// What a [`FencedTx`] has to know of a lock that is held: a guard of this library's, or of any other lock whose grants are
/// numbered.
pub trait Fencing: Send + Sync {
    /// What is locked: the same for everybody who locks it.
    fn resource(&self) -> &str;

    /// The number of this grant: higher than that of every grant before. At most 2^63 - 1. `None` of what is not exclusive, such
    /// as a reader's lock: nothing can be fenced with it.
    fn fence(&self) -> Option<u64>;

    /// That it is still held, as far as this process can tell.
    ///
    /// # Errors
    /// Why not.
    fn check(&self) -> Result<(), BoxError>;

    /// How it shows in errors.
    fn label(&self) -> KeyLabel {
        KeyLabel::new(&Arc::from("lock"), self.resource())
    }
}

impl Fencing for Guard {
    fn resource(&self) -> &str {
        Self::resource(self)
    }

    fn fence(&self) -> Option<u64> {
        Self::fence(self).map(Fence::get)
    }

    fn check(&self) -> Result<(), BoxError> {
        Ok(Self::check(self)?)
    }

    fn label(&self) -> KeyLabel {
        Self::label(self).clone()
    }
}

/// A database in which transactions can be fenced: SQLite and PostgreSQL, by the types of sqlx.
pub trait FencedDatabase: sqlx::Database {
    #[doc(hidden)]
    const BEGIN: &'static str;

    #[doc(hidden)]
    fn inside(connection: &mut Self::Connection) -> InTransaction<'_>;
}

/// A transaction that belongs to the holder of a lock: once a later holder of the lock was at the database, nothing of it
/// takes effect, and while it runs no later holder's begins.
///
/// It begins by raising the fence of its lock in the table `larder_fences`, which keeps the row locked until the end. So whatever
/// runs in it is protected, statements that know nothing of fences included; and `&mut *tx` runs it, as with a transaction of
/// sqlx. The guard is borrowed: the lock is not given back before the transaction has ended.
///
/// What is *read* under the lock has to be read in such a transaction as well, though it may be another one: that raises the
/// fence, so that nobody from before can write after it was read.
///
/// Dropped before [`commit`](Self::commit), it changes nothing.
///
/// ```compile_fail,E0505
/// # async fn shown(pool: sqlx::SqlitePool, guard: larder_kit::lock::Guard) -> Result<(), Box<dyn std::error::Error>> {
/// let tx = larder_sql::FencedTx::begin(&pool, &guard).await?;
/// guard.release().await?; // refused by the compiler: the transaction is still open
/// tx.commit().await?;
/// # Ok(())
/// # }
/// ```
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # async fn shown() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// use larder_sql::{FencedTx, Fences, PoolConfig};
/// # struct Granted(u64);
/// # impl larder_sql::Fencing for Granted {
/// #     fn resource(&self) -> &str { "account:7" }
/// #     fn fence(&self) -> Option<u64> { Some(self.0) }
/// #     fn check(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> { Ok(()) }
/// # }
/// let pool = PoolConfig::in_memory().open_sqlite().await?;
/// Fences::new(pool.clone()).prepare().await?; // or `larder sql fences --db URL`
/// sqlx::query("CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER)").execute(&pool).await?;
/// # let (paused, guard) = (Granted(1), Granted(2)); // of a lock: `lock.acquire(&7).await?`
///
/// let mut tx = FencedTx::begin(&pool, &guard).await?;
/// sqlx::query("INSERT INTO account VALUES (7, 100)").execute(&mut *tx).await?;
/// tx.commit().await?;
///
/// // Whoever had the lock before, and was paused meanwhile, does nothing any more.
/// assert!(FencedTx::begin(&pool, &paused).await.unwrap_err().is_fenced());
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(shown()).unwrap();
/// ```
#[must_use = "dropped, it changes nothing"]
pub struct FencedTx<'g, DB: FencedDatabase> {
    transaction: Transaction<'static, DB>,
    guard: &'g dyn Fencing,
    fence: u64,
}

impl<DB: FencedDatabase> fmt::Debug for FencedTx<'_, DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FencedTx")
            .field("lock", &self.guard.label())
            .field("fence", &self.fence)
            .finish_non_exhaustive()
    }
}

impl<'g, DB: FencedDatabase> FencedTx<'g, DB> {
    /// Begins a transaction under the lock that `guard` holds. It waits for one of an earlier holder that is still open: on
    /// PostgreSQL until that ends, at the longest for [`statement_timeout`](crate::PoolConfig::statement_timeout); on SQLite for
    /// whoever writes, at the longest for [`busy_timeout`](crate::PoolConfig::busy_timeout).
    ///
    /// # Errors
    /// [`SqlError::Fenced`] if a later holder was here first; [`SqlError::LockLost`] if the guard knows that it holds nothing
    /// any more; [`SqlError::NoFence`] for a guard that has none; [`SqlError::NoFences`] if the database was not [prepared](Fences::prepare); any other of the database.
    ///
    /// # Cancel safety
    /// Dropped, nothing was changed.
    pub async fn begin(pool: &sqlx::Pool<DB>, guard: &'g impl Fencing) -> Result<Self, SqlError> {
        const DOING: &str = "beginning a fenced transaction";
        let fence = guard.fence().ok_or_else(|| SqlError::NoFence { lock: guard.label() })?;
        held(guard)?;
        let mut begun = Self {
            transaction: open(pool).await.map_err(SqlError::query(DOING))?,
            guard,
            fence,
        };
        begun.raise().await?;
        // Waiting for an earlier holder may have taken longer than the lock lasts.
        held(guard)?;
        Ok(begun)
    }

    /// Makes this the highest fence of its lock, or says that it is not.
    async fn raise(&mut self) -> Result<(), SqlError> {
        const DOING: &str = "raising the fence of a lock";
        let (resource, fence) = (self.guard.resource(), self.fence);
        let within = DB::inside(&mut self.transaction);
        let table = Table::of(within.dialect);
        let raised = within.connection.fetch(table.raise(resource, sql::number(fence))).await;
        let raised = raised.map_err(SqlError::query(DOING)).map_err(SqlError::or_no_fences)?;
        if !raised.is_empty() {
            return Ok(());
        }
        let newest = within.connection.fetch(table.newest(resource)).await;
        let newest = newest.map_err(SqlError::query(DOING))?;
        Err(SqlError::Fenced {
            lock: self.guard.label(),
            fence,
            newest: sql::newest(&newest),
        })
    }

    /// The fence under which it runs, as a column keeps it: for rows with a column of their own for it, which also those respect
    /// who write without this type:
    ///
    /// ```sql
    /// UPDATE account SET balance = $1, l_fence = $2 WHERE id = $3 AND l_fence <= $2
    /// ```
    #[must_use]
    pub fn fence(&self) -> i64 {
        sql::number(self.fence)
    }

    /// Says what it means that such a statement changed no row that is known to be there: a later holder wrote it.
    ///
    /// # Errors
    /// [`SqlError::Fenced`] if `rows` is 0. Then the transaction should be dropped.
    pub fn expect_changed(&self, rows: u64) -> Result<(), SqlError> {
        match rows {
            0 => Err(SqlError::Fenced {
                lock: self.guard.label(),
                fence: self.fence,
                newest: None,
            }),
            _ => Ok(()),
        }
    }

    /// Commits, if the lock is still held as far as this process can tell.
    ///
    /// # Errors
    /// [`SqlError::LockLost`] if it is not: nothing was changed. [`SqlError::InDoubt`] if the connection was lost meanwhile; any
    /// other of the database.
    ///
    /// # Cancel safety
    /// Dropped, it may have been committed or not.
    pub async fn commit(self) -> Result<(), SqlError> {
        held(self.guard)?;
        let committed = self.transaction.commit().await;
        committed.map_err(SqlError::committing("committing a fenced transaction".to_owned()))
    }

    /// Ends it and changes nothing, the fence included.
    ///
    /// # Errors
    /// Any [`SqlError`] of the database; nothing was changed then either.
    ///
    /// # Cancel safety
    /// As dropping it.
    pub async fn rollback(self) -> Result<(), SqlError> {
        let ended = self.transaction.rollback().await;
        ended.map_err(SqlError::query("rolling back a fenced transaction"))
    }
}

/// A transaction on a connection that lives. Those that stood idle while the server was started anew are passed over: nothing was
/// sent on them but the beginning.
async fn open<DB: FencedDatabase>(pool: &sqlx::Pool<DB>) -> Result<Transaction<'static, DB>, sqlx::Error> {
    let mut left = pool.options().get_max_connections();
    loop {
        match pool.begin_with(AssertSqlSafe(DB::BEGIN)).await {
            Err(lost) if is_connection_lost(&lost) && left > 0 => left -= 1,
            begun => return begun,
        }
    }
}

fn held(guard: &(impl Fencing + ?Sized)) -> Result<(), SqlError> {
    guard.check().map_err(|source| SqlError::LockLost {
        lock: guard.label(),
        source,
    })
}

/// A connection in the transaction, to run statements on: not the transaction itself, which only [`commit`](FencedTx::commit)
/// ends.
impl<DB: FencedDatabase> Deref for FencedTx<'_, DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &Self::Target {
        &self.transaction
    }
}

impl<DB: FencedDatabase> DerefMut for FencedTx<'_, DB> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.transaction
    }
}
