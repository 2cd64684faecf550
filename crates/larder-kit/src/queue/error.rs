//! What can go wrong with a queue, in one place, so that the messages can be read side by side.

use std::sync::Arc;

use larder_base::codec::CodecError;
use larder_store::StoreError;

use crate::BadNamespace;

/// Why a queue could not do what was asked. Cheap to clone.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// A setting or an option that cannot be meant; the text names it and says what to do.
    #[error("{0}")]
    Config(Arc<str>),
    /// The queue has as many jobs as it may have. Nothing was pushed.
    #[error(
        "queue `{queue}` has {jobs} jobs that are not done, dead ones included: add workers, clear dead letters, or raise `capacity`"
    )]
    Full {
        /// The namespace of the queue.
        queue: Arc<str>,
        /// How many there are.
        jobs: u64,
    },
    /// The job cannot be written as JSON, or its payload is too large. Nothing was pushed.
    #[error(
        "the job was not pushed: {0}; a job may have `payload_max` bytes, and large data is better stored beside it"
    )]
    Payload(CodecError),
    /// The attempt is not this worker's any more: it was silent for longer than the visibility timeout, and the job was taken
    /// over. Stop; whoever has it now completes it.
    #[error("job `{id}` was taken over by another worker; stop working on it, or raise `visibility`")]
    Overtaken {
        /// The job's id.
        id: Arc<str>,
    },
    /// The store failed while a job was pushed. With [`is_unknown_outcome`](QueueError::is_unknown_outcome) the job may be there:
    /// push it again under the same id, and it is one job.
    #[error("pushing job `{id}`: {source}")]
    Push {
        /// The id it was pushed under: yours, or the one that was drawn.
        id: Arc<str>,
        /// What the store said.
        source: StoreError,
    },
    /// The store did not answer, or answered what it never does.
    #[error("the queue's store: {0}")]
    Store(#[from] StoreError),
}

impl QueueError {
    pub(super) fn config(text: impl Into<Arc<str>>) -> Self {
        Self::Config(text.into())
    }

    /// Whether a setting or an option is wrong: trying again cannot help.
    #[must_use]
    pub const fn is_config(&self) -> bool {
        matches!(self, Self::Config(_))
    }

    /// Whether the queue has no room.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// Whether the job was taken over by another worker.
    #[must_use]
    pub const fn is_overtaken(&self) -> bool {
        matches!(self, Self::Overtaken { .. })
    }

    /// Whether it may have happened although no answer was seen.
    #[must_use]
    pub fn is_unknown_outcome(&self) -> bool {
        self.store().is_some_and(StoreError::is_unknown_outcome)
    }

    /// What the store said, if it was the store.
    #[must_use]
    pub const fn store(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) | Self::Push { source: error, .. } => Some(error),
            _ => None,
        }
    }
}

impl From<BadNamespace> for QueueError {
    fn from(bad: BadNamespace) -> Self {
        Self::config(bad.to_string())
    }
}
