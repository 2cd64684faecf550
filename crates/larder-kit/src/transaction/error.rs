//! Why a transaction did not go through, in one place, so that the messages can be read side by side.

use larder_store::StoreError;
use redis::RedisError;

use crate::names::BadNamespace;

/// Why a transaction did not go through. Cheap to clone.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransactionError {
    /// Others changed what was watched, at every attempt. Nothing was written.
    #[error(
        "`{name}` lost {attempts} attempts to others who changed what it watched; watch fewer keys, raise `attempts`, or decide in a script"
    )]
    Contended {
        /// The name of the transactions.
        name: String,
        /// How many attempts were made.
        attempts: u32,
    },
    /// It was committed, and commands in it failed: Redis undoes nothing, so all the others took effect.
    #[error("{failed} commands of the transaction failed, and all others took effect: {source}")]
    Partly {
        /// How many failed.
        failed: usize,
        /// What the first of them answered.
        source: StoreError,
    },
    /// It was committed, and what its commands answered is not of the type that was asked for. Do not run it again.
    #[error(
        "the transaction was committed, but its replies are not of the type that was asked for, which is a tuple with an item for each command that is not `ignore`d, or `()`: {source}"
    )]
    Reply {
        /// What the replies could not be read as.
        source: StoreError,
    },
    /// A command would end the watch, or change the connection: the transaction would go through whatever others do.
    #[error(
        "{command} would end the watch of the transaction; leave it out, and hand what is to be written to `Watched::commit`, which sends MULTI and EXEC itself"
    )]
    EndsWatch {
        /// The command.
        command: String,
    },
    /// The settings contradict each other or cannot be meant.
    #[error("{0}")]
    Settings(String),
    /// The name cannot be used.
    #[error(transparent)]
    Name(#[from] BadNamespace),
    /// The store could not do it. Nothing was written, unless [`is_unknown_outcome`](Self::is_unknown_outcome).
    #[error("the transaction's store: {0}")]
    Store(StoreError),
}

impl TransactionError {
    /// Whether others were faster every time.
    #[must_use]
    pub const fn is_contended(&self) -> bool {
        matches!(self, Self::Contended { .. })
    }

    /// Whether the transaction may have been committed although its answer was not seen.
    #[must_use]
    pub const fn is_unknown_outcome(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_unknown_outcome())
    }

    /// Whether the store could not be talked to.
    #[must_use]
    pub const fn is_connection(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_connection())
    }
}

impl From<StoreError> for TransactionError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Of a command on [`Watched`](super::Watched), so that `?` works on it.
impl From<RedisError> for TransactionError {
    fn from(error: RedisError) -> Self {
        super::watched::ends_watch(&error).unwrap_or_else(|| Self::Store(error.into()))
    }
}
