//! Trying until it goes through: a bound, and pauses that part those who met.

use std::{fmt, sync::Arc, time::Duration};

use larder_store::{Dedicated, Store};
use redis::ToRedisArgs;

use super::{
    attempt::{Attempt, End},
    builder::{Count, Settings, TransactionsBuilder},
    error::TransactionError,
    watched::Watched,
};
use crate::figures::Tally;

/// Optimistic transactions of one kind, under the name by which errors and metrics know them. A cheap clone.
///
/// See the [module](super) for an example.
#[derive(Clone)]
pub struct Transactions {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) name: Arc<str>,
    pub(super) store: Store,
    pub(super) settings: Settings,
    pub(super) tally: Arc<Tally>,
}

impl fmt::Debug for Transactions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Transactions").field(&self.inner.name).finish()
    }
}

impl Transactions {
    /// Begins with the settings of the transactions called `name` (`[a-z0-9_.-]+`).
    pub fn builder(name: impl Into<String>) -> TransactionsBuilder {
        TransactionsBuilder::new(name)
    }

    /// Watches `keys`, and has `work` read, decide, and end with [`Watched::commit`] or [`Watched::leave`]; again, after a
    /// pause, as often as others changed a key meanwhile. An error of `work` ends it, and nothing is written.
    ///
    /// Three round trips and those of `work`: the connection's, if the pool has none idle; `WATCH`; and the transaction.
    ///
    /// # Errors
    /// That of `work`; [`TransactionError::Contended`] after `attempts`; [`TransactionError::Store`].
    ///
    /// # Cancel safety
    /// Nothing was written, or all of it, if the last thing sent was the transaction. The connection is made as new before
    /// anybody else gets it.
    pub async fn run<T, E, K, F, W>(&self, keys: impl IntoIterator<Item = K>, mut work: F) -> Result<T, E>
    where
        K: ToRedisArgs,
        F: FnMut(Watched) -> W,
        W: Future<Output = Result<Attempt<T>, E>>,
        E: From<TransactionError>,
    {
        let keys: Vec<Vec<u8>> = keys.into_iter().flat_map(|key| key.to_redis_args()).collect();
        let done = self.attempts(&keys, &mut work).await;
        if done.is_err() {
            self.count(Count::Failed);
        }
        match done? {
            Some(value) => Ok(value),
            None => {
                self.count(Count::Contended);
                Err(E::from(TransactionError::Contended {
                    name: self.inner.name.to_string(),
                    attempts: self.inner.settings.attempts,
                }))
            }
        }
    }

    /// What it came to; `None` if every attempt was lost.
    async fn attempts<T, E, F, W>(&self, keys: &[Vec<u8>], work: &mut F) -> Result<Option<T>, E>
    where
        F: FnMut(Watched) -> W,
        W: Future<Output = Result<Attempt<T>, E>>,
        E: From<TransactionError>,
    {
        let mut own = self.connection().await?;
        for attempt in 1..=self.inner.settings.attempts {
            let watched = Watched::begin(own, keys).await?;
            match work(watched).await?.0 {
                End::Committed(value) => {
                    self.count(Count::Committed);
                    return Ok(Some(value));
                }
                End::Left(value) => {
                    self.count(Count::Left);
                    return Ok(Some(value));
                }
                End::Lost(connection) => own = *connection,
            }
            self.count(Count::Conflict);
            if attempt < self.inner.settings.attempts {
                self.pause(attempt).await;
            }
        }
        Ok(None)
    }

    /// Watches `keys` for one attempt of one's own: for a loop that cannot be a closure.
    ///
    /// # Errors
    /// [`TransactionError::Store`].
    ///
    /// # Cancel safety
    /// Nothing was written.
    pub async fn watch<K: ToRedisArgs>(&self, keys: &[K]) -> Result<Watched, TransactionError> {
        Watched::begin(self.connection().await?, keys).await
    }

    async fn connection(&self) -> Result<Dedicated, TransactionError> {
        Ok(self.inner.store.dedicated().await?)
    }

    fn count(&self, what: Count) {
        self.inner.tally.count(what as usize);
    }

    async fn pause(&self, lost: u32) {
        let Settings {
            first_pause, max_pause, ..
        } = self.inner.settings;
        let longest = first_pause.saturating_mul(1 << (lost - 1).min(20)).min(max_pause);
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        let pause = Duration::from_nanos(self.inner.store.random().below(nanos));
        self.inner.store.clock().sleep(pause).await;
    }
}
