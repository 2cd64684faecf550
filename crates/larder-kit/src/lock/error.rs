//! Why a lock was not taken or did not last, in one place, so that the messages can be read side by side.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use larder_base::KeyLabel;
use larder_store::StoreError;

use crate::BadNamespace;

/// Why a lock was not taken, or did not last. Cheap to clone.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// A setting that cannot be meant; the text names it.
    #[error("{0}")]
    Config(String),
    /// A namespace with other characters than `[a-z0-9_.-]`.
    #[error(transparent)]
    Namespace(#[from] BadNamespace),
    /// Others held it for the whole wait.
    #[error("`{key}` was held by others for {:?}; wait longer (`wait`, `acquire_within`), or do without", whole_ms(*waited))]
    Busy {
        /// What was to be locked.
        key: KeyLabel,
        /// How long was waited.
        waited: Duration,
    },
    /// It was granted and is not held any more: whatever it protects must not be touched now.
    #[error("the lock on `{key}` is lost: {loss}")]
    Lost {
        /// What was locked.
        key: KeyLabel,
        /// How it was lost.
        loss: Loss,
    },
    /// The answer that granted it took longer than the grant lasts. It was given back.
    #[error(
        "the lock on `{key}` was granted too late to be of use: the store took {:?}; raise `ttl` ({ttl:?})",
        whole_ms(*took)
    )]
    TooSlow {
        /// What was to be locked.
        key: KeyLabel,
        /// How long the answer took.
        took: Duration,
        /// For how long the lock is granted.
        ttl: Duration,
    },
    /// A token that holds nothing: its lock ran out, was given back, or was adopted by another.
    #[error("the token does not hold the lock on `{key}`: it ran out, was given back, or somebody else adopted it")]
    NotHeld {
        /// What was to be adopted.
        key: KeyLabel,
    },
    /// The store could not be asked, or answered with an error.
    #[error("the lock's store: {}{}", .0, what_then(.0))]
    Store(StoreError),
    /// What is behind another implementation of [`Lock`](super::Lock) failed, such as a database.
    #[error("what is behind the lock: {0}")]
    Backend(Arc<dyn StdError + Send + Sync>),
}

/// As people read it: what is less than a millisecond says nothing about a wait.
const fn whole_ms(span: Duration) -> Duration {
    Duration::new(span.as_secs(), span.subsec_millis() * 1_000_000)
}

/// What to do where the store's own words do not say it.
fn what_then(error: &StoreError) -> &'static str {
    if error.is_wrong_type() {
        "; another program keeps a value of another type under its key: remove it, or choose another namespace"
    } else if error.is_out_of_memory() {
        "; it is out of memory: raise its `maxmemory`. What is held goes on being renewed and given back"
    } else {
        ""
    }
}

/// How a lock that was granted came to be held no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// The store says that it is not ours: the lease ran out there, its data were lost, or somebody removed it.
    Taken,
    /// It could not be renewed in time: the store was out of reach, or this process stood still. Nobody else can have got it
    /// before that.
    Expired,
    /// Its holder gave it back, or handed its token on.
    Released,
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Taken => "the store says that it is not held by this owner",
            Self::Expired => "it could not be renewed in time",
            Self::Released => "its holder gave it back",
        })
    }
}

impl LockError {
    /// A failure of what is behind another implementation of [`Lock`](super::Lock).
    pub fn backend(error: impl StdError + Send + Sync + 'static) -> Self {
        Self::Backend(Arc::new(error))
    }

    /// Whether others hold it: trying again later may help.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }

    /// Whether it was held and is not any more.
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::NotHeld { .. })
    }

    /// Whether the store could not be talked to: trying again may help once it is back.
    #[must_use]
    pub const fn is_store_down(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_connection()) || matches!(self, Self::TooSlow { .. })
    }

    /// Whether a setting is wrong: trying again cannot help.
    #[must_use]
    pub const fn is_config(&self) -> bool {
        matches!(self, Self::Config(_) | Self::Namespace(_))
    }
}

impl From<StoreError> for LockError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
