//! What can go wrong with a limit, in one place, so that the messages can be read side by side.

use std::{convert::Infallible, sync::Arc, time::Duration};

use larder_store::StoreError;

use crate::{BadNamespace, lock::Loss};

/// Why a limiter could not be built, or could not decide. A call that is denied is no error but a
/// [`Decision`](super::Decision). Cheap to clone.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// A setting that cannot be meant; the text names it and says what to do.
    #[error("{0}")]
    Config(Arc<str>),
    /// A call that costs nothing.
    #[error("a call costs at least 1; leave the check out where nothing is to be charged")]
    NoCost,
    /// [`acquire`](super::Limiter::acquire) of more than the limit has at all: waiting does not help.
    #[error("{cost} permits are more than limit `{limit}` ever has at once; ask for less, or raise the limit")]
    Never {
        /// The name of the limit.
        limit: Arc<str>,
        /// What was asked for.
        cost: u64,
    },
    /// [`acquire`](super::Limiter::acquire) would have to wait beyond its deadline. Nothing was charged.
    #[error("limit `{limit}` has room in {retry_after:?}, which is past the deadline of {deadline:?}")]
    TooLate {
        /// The name of the limit.
        limit: Arc<str>,
        /// In what time there is room, if nobody else takes it.
        retry_after: Duration,
        /// The deadline given.
        deadline: Duration,
    },
    /// Somebody else changed the limits first; nothing was changed.
    #[error("the limits are of revision {found} and not {expected}: somebody changed them; read them and decide again")]
    Changed {
        /// The revision that was to be replaced.
        expected: u64,
        /// The one in force; 0 if the limits are those of the program.
        found: u64,
    },
    /// The place of a [`Permit`](super::Permit) was lost: whatever it allowed must not go on.
    #[error("the place is lost: {0}")]
    Lost(Loss),
    /// The store did not answer, and there is no policy for that: of everything but checks. Or it answered what it never
    /// does, such as a key that holds another type.
    #[error("the limiter's store: {0}")]
    Store(#[from] StoreError),
}

impl LimitError {
    pub(super) fn config(text: impl Into<Arc<str>>) -> Self {
        Self::Config(text.into())
    }

    /// Whether a setting is wrong: trying again cannot help.
    #[must_use]
    pub const fn is_config(&self) -> bool {
        matches!(self, Self::Config(_) | Self::NoCost)
    }

    /// Whether more was asked for than there ever is.
    #[must_use]
    pub const fn is_never(&self) -> bool {
        matches!(self, Self::Never { .. })
    }

    /// Whether there is no room before the deadline.
    #[must_use]
    pub const fn is_too_late(&self) -> bool {
        matches!(self, Self::TooLate { .. })
    }

    /// Whether somebody else changed the limits first.
    #[must_use]
    pub const fn is_changed(&self) -> bool {
        matches!(self, Self::Changed { .. })
    }

    /// What the store said, if it was the store.
    #[must_use]
    pub const fn store(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl From<BadNamespace> for LimitError {
    fn from(bad: BadNamespace) -> Self {
        Self::config(bad.to_string())
    }
}

/// A [`Limit`](super::Limit) is one already.
impl From<Infallible> for LimitError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
