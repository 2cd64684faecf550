//! Why a session could not be used, in one place, so that the messages can be read side by side.

use std::sync::Arc;

use larder_store::StoreError;

use crate::names::BadNamespace;

/// Why a session could not be used. Cheap to clone. Whatever is not [`is_unknown_outcome`](Self::is_unknown_outcome) has
/// changed nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The session ended between its load and this call: expired, deleted, revoked, or its id was rotated.
    #[error("the session has ended; let the user log in again")]
    Gone,
    /// The data would be larger than the session may have.
    #[error(
        "the session would hold {bytes} bytes and may hold {limit} (`data_max`); keep large things elsewhere, and their key here"
    )]
    TooLarge {
        /// Names and values of all fields.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The user has as many sessions as may be, and `when_full` says to refuse more.
    #[error("the user has {limit} sessions already (`max_per_user`); end one of them first")]
    TooMany {
        /// The limit.
        limit: u32,
    },
    /// The login was begun before the user's sessions were revoked, or longer than `login_max` ago.
    #[error(
        "the login is not valid any more: all sessions of the user were revoked since it began, or it took too long (`login_max`); begin it again"
    )]
    LoginEnded,
    /// The session is another user's.
    #[error("the session belongs to another user; delete it, and create one for this user")]
    OtherUser,
    /// Another request changed the field every time.
    #[error("the field `{field}` was changed by others {attempts} times in a row; try later, or change less in it")]
    Busy {
        /// The field, or `*` for the whole session.
        field: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// Another request changed a field that was to be as loaded ([`Change::if_unchanged`](super::Change::if_unchanged)).
    #[error("the field `{field}` was changed by another request since it was loaded; load again and decide anew")]
    Changed {
        /// The field.
        field: String,
    },
    /// The field is not a whole number, or would go beyond ±(2^53 - 1).
    #[error("the field `{field}` is no whole number that can be counted on (within 2^53)")]
    NotACounter {
        /// The field.
        field: String,
    },
    /// A value could not be written as JSON.
    #[error("the value for the field `{field}` cannot be written as JSON: {source}")]
    Encode {
        /// The field.
        field: String,
        /// What is wrong with it.
        source: Arc<serde_json::Error>,
    },
    /// What is stored in the field is not of the type that was asked for.
    #[error(
        "the field `{field}` holds something else than was asked for: {source}; another version of the program wrote it"
    )]
    Decode {
        /// The field.
        field: String,
        /// What is wrong with it.
        source: Arc<serde_json::Error>,
    },
    /// Under the key of the session is something that is none.
    #[error("what is stored for this session is no session; delete it")]
    Damaged,
    /// The settings contradict each other or cannot be meant.
    #[error("{0}")]
    Settings(String),
    /// The namespace cannot be used.
    #[error(transparent)]
    Namespace(#[from] BadNamespace),
    /// The store could not do it.
    #[error("the sessions' store: {0}")]
    Store(StoreError),
}

impl SessionError {
    /// Whether the session has ended: its user logs in again.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        matches!(self, Self::Gone)
    }

    /// Whether the change may have been made although its answer was not seen.
    #[must_use]
    pub const fn is_unknown_outcome(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_unknown_outcome())
    }

    /// Whether the store could not be talked to.
    #[must_use]
    pub const fn is_connection(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_connection())
    }

    /// Whether the data or the number of sessions is at its limit.
    #[must_use]
    pub const fn is_limit(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::TooMany { .. })
    }

    /// Whether other requests were faster: load again and decide anew.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Changed { .. })
    }

    /// Whether what is stored cannot be read as what was asked for.
    #[must_use]
    pub const fn is_unreadable(&self) -> bool {
        matches!(self, Self::Decode { .. } | Self::NotACounter { .. } | Self::Damaged)
    }
}

impl From<StoreError> for SessionError {
    fn from(error: StoreError) -> Self {
        if error.is_wrong_type() {
            return Self::Damaged;
        }
        Self::Store(error)
    }
}
