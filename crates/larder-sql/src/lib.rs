//! Databases behind Larder: SQLite and PostgreSQL.
//!
//! [`SqlTable`] reads any table, named at run time, through a cache: it finds the key column, binds every value,
//! quotes every name and loads in batches. [`PoolConfig`] opens the pool that it reads from. [`Outbox`] keeps invalidations
//! over a crash. [`FencedTx`] is a transaction under a lock,
//! and [`PgLock`] a lock.
//!
//! ```
//! # #[cfg(feature = "sqlite")]
//! # async fn shown() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! use larder_cache::Source;
//! use larder_sql::{PoolConfig, SqlTable};
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct User {
//!     name: String,
//! }
//!
//! let pool = PoolConfig::in_memory().open_sqlite().await?;
//! sqlx::query("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)").execute(&pool).await?;
//! sqlx::query("INSERT INTO users VALUES (42, 'Ada')").execute(&pool).await?;
//!
//! let users = SqlTable::new(pool, "users");
//! let ada: Option<User> = users.load(&42_u64).await?;
//! assert_eq!(ada.map(|user| user.name).as_deref(), Some("Ada"));
//! # Ok(())
//! # }
//! # tokio::runtime::Runtime::new().unwrap().block_on(shown()).unwrap();
//! ```

#![cfg_attr(
    not(all(feature = "sqlite", feature = "postgres")),
    allow(dead_code, reason = "what one database has and the other needs")
)]

mod behind;
mod cell;
mod count;
mod db;
mod error;
mod fence;
mod key;
mod named;
mod outbox;
#[cfg(feature = "postgres")]
mod pg_lock;
mod pool;
mod prepare;
mod query;
mod record;
mod row;
mod rows;
mod schema;
mod session;
mod sink;
mod statement;
mod table;

pub use db::{InTransaction, Pool};
pub use error::{Doing, ErrorKind, Names, SqlError};
pub use fence::{FencedDatabase, FencedTx, Fences, Fencing};
pub use outbox::{METRICS, Outbox, OutboxLag, Owed, Relay, Relaying, Swept};
#[cfg(feature = "postgres")]
pub use pg_lock::{PgLock, PgLockBuilder};
pub use pool::PoolConfig;
pub use prepare::Prepare;
pub use query::SqlQuery;
pub use schema::{Column, Generated, TableSchema};
/// The crate whose pools and transactions these are, in the version that they are of.
pub use sqlx;
#[cfg(feature = "postgres")]
pub use sqlx::PgPool;
#[cfg(feature = "sqlite")]
pub use sqlx::SqlitePool;
pub use table::SqlTable;
