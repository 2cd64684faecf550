//! The caching layer for services that use Redis or Valkey.
//!
//! This crate is the face of Larder: it re-exports what applications use, and serves its metrics where asked to.
//!
//! ```
//! use std::time::Duration;
//!
//! use larder::prelude::*;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let store = Store::open("embedded:").await?; // or redis://127.0.0.1:6379
//! let squares: Cache<u64, u64> = Cache::builder("square")
//!     .store(&store)
//!     .near(10_000)
//!     .ttl(Duration::from_secs(300))
//!     .build()
//!     .await?;
//! let square = squares.get_or_load(&12, || async { Ok::<_, BoxError>(12 * 12) }).await?;
//! assert_eq!(*square, 144);
//! squares.invalidate(&12).await?;
//! # Ok(())
//! # }
//! ```
//!
//! | feature | default | brings |
//! |---|---|---|
//! | `embedded` | on | the engine behind `embedded:` URLs, in this process |
//! | `sql` | on | tables of a SQLite database as sources |
//! | `blocking` | on | [`blocking`]: the same for programs without `async` |
//! | `prometheus` | off | `metrics::serve`: this process's metrics at an HTTP address |

#[cfg(feature = "blocking")]
pub mod blocking;
pub mod metrics;

pub use larder_base::{CacheKey, Clock, KeyLabel, KeyPart, ManualClock, Random, WrittenKey, codec::Codec, show_keys};
pub use larder_cache::{
    Ack, Batch, BoxError, Cache, CacheBuilder, CacheEvent, Change, Coherence, Committed, Consistency, CountAs,
    DeadLetter, Delivery, Drained, Error, ErrorKind, Events, FillRejection, Freshness, Hold, Invalidated, Lag,
    LetterId, LoadContext, LoadFailure, Loaded, Lookup, Matching, NewGeneration, OnGap, OnStoreDown, Patch, PendingLog,
    Plain, PlainStore, Progress, PutOptions, Receipt, SharedSink, Sink, SinkError, SinkErrorKind, Source, Stats,
    Ticket, Tier, Ttl, Version, Warming, WriteBehind, WriteGate, WritePolicy, Written,
};
pub use larder_kit::{Retention, ToolKey, Window, leaderboard, limit, lock, queue, session, timeline, transaction};
#[cfg(feature = "sql")]
pub use larder_sql::{
    FencedDatabase, FencedTx, Fences, Fencing, InTransaction, Outbox, OutboxLag, Owed, Pool, PoolConfig, Prepare,
    Relay, Relaying, SqlError, SqlQuery, SqlTable, Swept, sqlx,
};
#[cfg(feature = "postgres")]
pub use larder_sql::{PgLock, PgLockBuilder};
pub use larder_store::{
    Script, ScriptCall, ScriptHandle, Scripts, ScriptsError, Store, StoreConfig, StoreError, StoreStats, redis,
};

/// The complete examples of the guide, run as tests.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../../../docs/guide/errors.md")]
    mod errors {}
    #[doc = include_str!("../../../docs/guide/outages.md")]
    mod outages {}
    #[doc = include_str!("../../../docs/guide/coherence-log.md")]
    mod coherence_log {}
    #[doc = include_str!("../../../docs/guide/serving-stale.md")]
    mod serving_stale {}
    #[doc = include_str!("../../../docs/guide/strict-writes.md")]
    mod strict_writes {}
    #[cfg(feature = "sql")]
    #[doc = include_str!("../../../docs/guide/databases.md")]
    mod databases {}
    #[cfg(feature = "sql")]
    #[doc = include_str!("../../../docs/guide/outbox.md")]
    mod outbox {}
    #[cfg(feature = "postgres")]
    #[doc = include_str!("../../../docs/guide/fencing.md")]
    mod fencing {}
    #[doc = include_str!("../../../docs/guide/queues.md")]
    mod queues {}
    #[doc = include_str!("../../../docs/guide/persistence.md")]
    mod persistence {}
    #[doc = include_str!("../../../docs/guide/write-behind.md")]
    mod write_behind {}
    #[cfg(all(feature = "blocking", feature = "sql"))]
    #[doc = include_str!("../../../docs/guide/blocking.md")]
    mod blocking {}
    #[doc = include_str!("../../../docs/guide/testing.md")]
    mod testing {}
    #[doc = include_str!("../../../docs/guide/writing.md")]
    mod writing {}
}

/// What most programs need: `use larder::prelude::*`. With the modules of the tools come their other names:
/// `lock::Election`, `limit::FixedWindow`, `transaction::Pipelined`. `OnStoreDown` is the cache's policy; that of rate limits is
/// `limit::OnStoreDown`.
pub mod prelude {
    pub use crate::leaderboard::Leaderboard;
    pub use crate::limit::{Gcra, Limiter};
    pub use crate::lock::{Fence, Guard, Lock, LockError, StoreLock};
    pub use crate::queue::{JobContext, JobFailure, Queue};
    pub use crate::session::Sessions;
    pub use crate::timeline::Timeline;
    pub use crate::transaction::Transactions;
    pub use crate::{
        Ack, BoxError, Cache, CacheKey, Coherence, Consistency, OnStoreDown, PlainStore, Retention, Script, Scripts,
        Source, Store, Ttl, Window, WriteBehind, WritePolicy,
    };
    #[cfg(feature = "sql")]
    pub use crate::{FencedTx, Fences, PoolConfig, SqlTable};
    pub use crate::{leaderboard, limit, lock, queue, session, timeline, transaction};
}
