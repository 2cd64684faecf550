//! A table that records, with whatever a cache writes to it, the invalidation that follows.

use std::{collections::HashMap, sync::Arc};

use larder_base::CacheKey;
use parking_lot::Mutex;

use super::{
    Outbox, millis,
    sql::{self, Kind},
    written,
};
use crate::{SqlTable, error::SqlError, session::Writing};

/// Rows of commits that were not asked for yet at most: each is asked for right after its commit, unless its caller went
/// away in between. What is forgotten beyond that is the relay's.
const COMMITTED_MAX: usize = 10_000;

/// The outbox of one table. Clones share what was committed.
#[derive(Clone, Debug)]
pub(crate) struct SinkOutbox {
    outbox: Outbox,
    namespace: Arc<str>,
    /// By written key: what was recorded and committed, and not asked for yet.
    committed: Arc<Mutex<HashMap<String, Vec<i64>>>>,
}

/// Rows of a commit that is under way, with their keys.
pub(crate) struct Recorded(Vec<(i64, String)>);

impl SqlTable {
    /// Records in `outbox`, with whatever is put, removed, patched or inserted and in the same transaction, that its key
    /// is to be invalidated in the cache `namespace`: for a cache that writes [through or
    /// around](larder_cache::WritePolicy). It costs a transaction where a single row took one statement, and the record.
    /// Such a cache invalidates at once as ever, and deletes the record.
    ///
    /// A cache that writes behind does not need it: what it accepts is in the store before the table has it. The outbox has
    /// to be in the database of the table.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// # async fn shown() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// use larder_sql::{Outbox, PoolConfig, SqlTable};
    /// let pool = PoolConfig::in_memory().open().await?;
    /// let outbox = Outbox::new(pool.clone());
    /// let users = SqlTable::new(pool, "users").outbox(&outbox, "user");
    /// # let _ = users;
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(shown()).unwrap();
    /// ```
    #[must_use]
    pub fn outbox(self, outbox: &Outbox, namespace: &str) -> Self {
        self.with_outbox(SinkOutbox {
            outbox: outbox.clone(),
            namespace: namespace.into(),
            committed: Arc::default(),
        })
    }
}

impl SinkOutbox {
    /// Records `keys` in the transaction that changes them.
    pub(crate) async fn record<K: CacheKey>(&self, writing: &mut Writing, keys: &[K]) -> Result<Recorded, SqlError> {
        let keys = written(keys);
        let (namespace, delay) = (&self.namespace, millis(self.outbox.delay));
        let record = self.outbox.table.record(namespace, Kind::Key, &keys, delay);
        let rows = writing.fetch(record).await.map_err(SqlError::or_no_outbox)?;
        Ok(Recorded(sql::recorded(rows)))
    }

    /// To be called when that transaction is committed.
    pub(crate) fn committed(&self, recorded: Recorded) {
        let mut committed = self.committed.lock();
        if committed.len() >= COMMITTED_MAX {
            committed.clear();
        }
        for (id, key) in recorded.0 {
            committed.entry(key).or_default().push(id);
        }
    }

    /// Takes the rows of what was committed of `keys` up to now.
    pub(crate) fn take<K: CacheKey>(&self, keys: &[K]) -> Vec<i64> {
        let keys = written(keys);
        let mut committed = self.committed.lock();
        keys.iter().filter_map(|key| committed.remove(key)).flatten().collect()
    }

    pub(crate) fn settled(&self, ids: Vec<i64>) {
        self.outbox.settle(ids);
    }
}
