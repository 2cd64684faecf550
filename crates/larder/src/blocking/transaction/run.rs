//! Trying until it goes through.

use std::time::Duration;

use crate::{
    blocking::{
        Store, ask,
        face::{self, face, settings},
    },
    redis::ToRedisArgs,
    transaction::{self, Attempt, TransactionError},
};

use super::Watched;

face! {
    /// [`larder::transaction::Transactions`](crate::transaction::Transactions), blocking. A cheap clone.
    ///
    /// See the [module](super) for an example.
    Transactions of crate::transaction::Transactions
}

impl Transactions {
    /// Begins with the settings of the transactions called `name` (`[a-z0-9_.-]+`).
    pub fn builder(name: impl Into<String>) -> TransactionsBuilder {
        TransactionsBuilder {
            builder: transaction::Transactions::builder(name),
            store: None,
        }
    }

    /// Watches `keys`, and has `work` read, decide, and end with [`Watched::commit`] or [`Watched::leave`], on this thread;
    /// again, after a pause, as often as others changed a key meanwhile.
    ///
    /// # Errors
    /// As [the async method](crate::transaction::Transactions::run).
    #[track_caller]
    pub fn run<T, E, K>(
        &self,
        keys: impl IntoIterator<Item = K>,
        mut work: impl FnMut(Watched) -> Result<Attempt<T>, E>,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<TransactionError> + Send + 'static,
        K: ToRedisArgs,
    {
        let keys: Vec<Vec<u8>> = keys.into_iter().flat_map(|key| key.to_redis_args()).collect();
        let transactions = (*self.on).clone();
        let begin = |ask: ask::Ask<transaction::Watched, Result<Attempt<T>, E>>| async move {
            transactions.run(keys, |watched| ask.clone().ask(watched)).await
        };
        ask::answering(self.on.runtime(), begin, |watched| {
            work(Watched::of(self.on.beside(watched)))
        })
    }

    /// Watches `keys` for one attempt of one's own: for a loop that cannot be a closure.
    ///
    /// # Errors
    /// As [the async method](crate::transaction::Transactions::watch).
    #[track_caller]
    pub fn watch<K: ToRedisArgs>(&self, keys: &[K]) -> Result<Watched, TransactionError> {
        let watched = self.on.wait(self.on.watch(keys))?;
        Ok(Watched::of(self.on.beside(watched)))
    }
}

/// [`larder::transaction::TransactionsBuilder`](crate::transaction::TransactionsBuilder), blocking: the same settings and
/// defaults.
#[derive(Clone, Debug)]
#[must_use = "nothing is built before `build`"]
pub struct TransactionsBuilder {
    builder: transaction::TransactionsBuilder,
    store: Option<Store>,
}

impl TransactionsBuilder {
    /// Where they run. Required.
    pub fn store(mut self, store: &Store) -> Self {
        self.builder = self.builder.store(store.as_async());
        self.store = Some(store.clone());
        self
    }

    settings! {
        "transaction::TransactionsBuilder";
        attempts(attempts: u32);
        pause(first: Duration, max: Duration);
    }

    /// Builds it; nothing is sent.
    ///
    /// # Errors
    /// As [the async method](crate::transaction::TransactionsBuilder::build).
    pub fn build(self) -> Result<Transactions, TransactionError> {
        face::build(self.store, || self.builder.build())
    }
}
