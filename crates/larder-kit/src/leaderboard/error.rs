//! What can go wrong with a leaderboard, in one place, so that the messages can be read side by side.

use std::sync::Arc;

use larder_store::StoreError;

use crate::BadNamespace;

use super::{BATCH_MAX, UNION_BOARDS_MAX, UNION_MEMBERS_MAX};

/// Why a leaderboard could not be built, or could not do what was asked. Cheap to clone.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeaderboardError {
    /// A setting that cannot be meant; the text names it and says what to do.
    #[error("{0}")]
    Config(Arc<str>),
    /// A score that is no finite number, or an addition that would come to one. Nothing was changed.
    #[error("a score has to be finite; check the number that is set or added")]
    NotFinite,
    /// A member whose written form is too long for a sorted set. Nothing was sent.
    #[error(
        "a member of {bytes} bytes is longer than {}; put an id on the board, not the thing itself",
        super::MEMBER_MAX
    )]
    MemberTooLong {
        /// How long it is when written.
        bytes: usize,
    },
    /// More in one call than is done without keeping the server busy. Nothing was sent.
    #[error("{asked} members in one call are more than {BATCH_MAX}; ask in several calls")]
    TooMany {
        /// How many were asked for.
        asked: u64,
    },
    /// A write to a window that is over: its standings are final.
    #[error("a window that is over is only read; write to the board itself, which is the open window")]
    Over,
    /// Boards that cannot be merged: of several groups, windows, orders or stores, none at all or too many.
    #[error("boards are merged that are of one store, group, kind of window and order, at most {UNION_BOARDS_MAX}")]
    NotOfOneKind,
    /// Boards with more members together than are merged in one call; the server gives them in one piece.
    #[error(
        "the boards have {entries} entries together, more than the {UNION_MEMBERS_MAX} that are merged in one call; keep a board for the union and write to both"
    )]
    UnionTooLarge {
        /// How many they have.
        entries: u64,
    },
    /// One of the board's two keys is gone while the other is there.
    #[error(
        "the board has lost one of its two keys, most likely to eviction; `clear` and load it again, and give the store a policy that does not evict it"
    )]
    Damaged,
    /// A member on the board is of another type than this handle's.
    #[error(
        "the board holds {member:?}, which is no member of this type; open it with the type that it was written with"
    )]
    OtherType {
        /// The member as it is written.
        member: Arc<str>,
    },
    /// The store did not answer, or answered what it never does, such as a key that holds another type.
    /// After an [unknown outcome](StoreError::is_unknown_outcome) of `increment` the score tells whether it was added.
    #[error("the leaderboard's store: {0}")]
    Store(#[from] StoreError),
}

impl LeaderboardError {
    pub(super) fn config(text: impl Into<Arc<str>>) -> Self {
        Self::Config(text.into())
    }

    /// Whether a setting or an argument is wrong: trying again cannot help.
    #[must_use]
    pub const fn is_config(&self) -> bool {
        !matches!(self, Self::Store(_) | Self::Damaged)
    }

    /// Whether the board has lost one of its keys.
    #[must_use]
    pub const fn is_damaged(&self) -> bool {
        matches!(self, Self::Damaged)
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

impl From<BadNamespace> for LeaderboardError {
    fn from(bad: BadNamespace) -> Self {
        Self::config(bad.to_string())
    }
}
