//! What can go wrong with a timeline, in one place, so that the messages can be read side by side.

use std::sync::Arc;

use larder_store::StoreError;

use super::{AUTHORS_MAX, ITEM_MAX, MERGED_MAX, PAGE_MAX};
use crate::BadNamespace;

/// Why a timeline could not be built, or could not do what was asked. Cheap to clone.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TimelineError {
    /// A setting that cannot be meant; the text names it and says what to do.
    #[error("{0}")]
    Config(Arc<str>),
    /// An item whose written form is too long. Nothing was sent.
    #[error(
        "an item of {bytes} bytes is longer than {ITEM_MAX}; put an id into the timeline, and the thing itself into a cache"
    )]
    ItemTooLong {
        /// How long it is when written.
        bytes: usize,
    },
    /// A position that is not kept exactly. Nothing was sent.
    #[error("the position {at} is not below 2^53; use milliseconds or microseconds since 1970, or a number of rows")]
    BadPosition {
        /// The position.
        at: u64,
    },
    /// More in one call than is read without keeping the server busy. Nothing was sent.
    #[error(
        "one page is at most {PAGE_MAX} items; merged it is of at most {AUTHORS_MAX} timelines and {MERGED_MAX} items read"
    )]
    TooMany,
    /// A text that is no [`Cursor`](super::Cursor).
    #[error("{text:?} is no cursor; give back the one of the page before as it was")]
    BadCursor {
        /// The text.
        text: Arc<str>,
    },
    /// An item in the timeline is of another type than this handle's.
    #[error(
        "the timeline holds {item:?}, which is no item of this type; open it with the type that it was written with"
    )]
    OtherType {
        /// The item as it is written.
        item: Arc<str>,
    },
    /// The store did not answer, or answered what it never does, such as a key that holds another type. Everything but a
    /// [`touch`](super::Timeline::touch) may be repeated without harm.
    #[error("the timeline's store: {0}")]
    Store(#[from] StoreError),
}

impl TimelineError {
    pub(super) fn config(text: impl Into<Arc<str>>) -> Self {
        Self::Config(text.into())
    }

    /// Whether a setting or an argument is wrong: trying again cannot help.
    #[must_use]
    pub const fn is_config(&self) -> bool {
        !matches!(self, Self::Store(_))
    }

    /// Whether what was asked may have been done although no answer came.
    #[must_use]
    pub const fn is_unknown_outcome(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_unknown_outcome())
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

impl From<BadNamespace> for TimelineError {
    fn from(bad: BadNamespace) -> Self {
        Self::config(bad.to_string())
    }
}
