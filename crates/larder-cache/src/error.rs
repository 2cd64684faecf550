//! Why a cache operation failed, in one place, so that the messages can be read side by side.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use larder_base::{KeyLabel, codec::CodecError};
use larder_store::StoreError;

use crate::{sink::SinkError, source::BoxError};

/// Why a cache operation failed: [`kind`](Self::kind) says it for programs, the text for people.
///
/// Cheap to clone: callers who share a load share its failure. As large as a pointer, because every answer of a cache is as
/// large as the error that it is not, and moving that costs a tenth of a near hit.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use larder_cache::{Cache, ErrorKind};
///
/// let store = larder_store::Store::open("embedded:").await?;
/// let users: Cache<u64, String> = Cache::builder("user").store(&store).ttl(Duration::from_secs(60)).build().await?;
/// let load = || async { Err::<String, _>(std::io::Error::other("no such table")) };
/// let error = users.get_or_load(&42, load).await.unwrap_err();
/// assert!(error.is_load() && matches!(error.kind(), ErrorKind::Load { .. }));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, thiserror::Error)]
#[error(transparent)]
pub struct Error(Arc<ErrorKind>);

impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl From<ErrorKind> for Error {
    #[cold]
    fn from(kind: ErrorKind) -> Self {
        Self(Arc::new(kind))
    }
}

/// What failed, and on what.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The loader or the source failed, and no older value was left to serve.
    #[error("the load of `{key}` failed and no stale value was left to serve")]
    Load {
        /// What was loaded.
        key: KeyLabel,
        /// What the loader said.
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// The loader took longer than `load_timeout`, and no older value was left to serve.
    #[error("the load of `{key}` took longer than `load_timeout` ({limit:?}) and no stale value was left to serve")]
    LoadTimeout {
        /// What was loaded.
        key: KeyLabel,
        /// The limit.
        limit: Duration,
    },
    /// The source panicked, and no older value was left to serve.
    #[error("the source panicked while loading `{key}`")]
    LoadPanicked {
        /// What was loaded.
        key: KeyLabel,
    },
    /// Too many loads run and wait already, and no older value was left to serve.
    #[error(
        "`{key}` was not loaded: {running} loads run and {waiting} wait; raise `max_loads` or `max_queued_loads`, or shed load"
    )]
    Overloaded {
        /// What was asked for.
        key: KeyLabel,
        /// Loads that ran.
        running: usize,
        /// Loads that waited.
        waiting: usize,
    },
    /// `get_or_load` met a remembered "there is none".
    #[error("`{key}` does not exist: remembered for `negative_ttl`; `get_or_load_with` returns it as `None`")]
    Absent {
        /// What was asked for.
        key: KeyLabel,
    },
    /// The store could not be asked, and `on_store_down` says to fail, or there is no loader to go to; or it answered
    /// with an error. [`is_store_down`](crate::Error::is_store_down) tells them apart.
    #[error("the store failed at {operation}{}", what_then(.source))]
    Store {
        /// What was asked of it.
        operation: &'static str,
        /// What the store said.
        source: Arc<StoreError>,
    },
    /// The store answered a script with something that it never says: another version of it, or no such server.
    #[error("the store's reply to {operation} could not be read")]
    Reply {
        /// The script.
        operation: &'static str,
        /// What was wrong with it.
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// An invalidation is not acknowledged. It is sent again in the background until it is. Meanwhile this process takes
    /// nothing cached of what it concerns; others may see the old value until its hard TTL.
    #[error(
        "the store has not acknowledged the invalidation of {what}; it is sent again in the background until it does{}",
        .unkept.as_deref().map_or_else(String::new, shown_unkept)
    )]
    Pending {
        /// The key, or how many keys or which tags.
        what: String,
        /// What the store said.
        source: Arc<StoreError>,
        /// With [`keep_pending`](crate::CacheBuilder::keep_pending): why it is not kept on disk, if it is not. Then a crash of
        /// this process would forget it.
        unkept: Option<Arc<std::io::Error>>,
    },
    /// The log of pending invalidations cannot be used: another process owns it, or the disk failed.
    #[error("the log of pending invalidations {path} cannot be used: {why}")]
    PendingLog {
        /// The file.
        path: String,
        /// What is wrong, and what helps.
        why: String,
        /// What the disk said.
        source: Arc<std::io::Error>,
    },
    /// A write was sent and its answer not seen: it may have been done or not.
    #[error("the outcome of {operation} on `{key}` is unknown: the store's answer was not seen")]
    OutcomeUnknown {
        /// What was asked.
        operation: &'static str,
        /// On what.
        key: KeyLabel,
        /// What the store said.
        source: Arc<StoreError>,
    },
    /// A writer holds the key, so nothing was stored.
    #[error("`{key}` is held by a writer for at most {left:?}; nothing was stored")]
    Held {
        /// The key.
        key: KeyLabel,
        /// For how long at most.
        left: Duration,
    },
    /// The hold had run out before the commit began, so the commit was not run.
    #[error("the hold on `{key}` ran out before the commit; raise `hold_for` above the longest commit")]
    HoldLapsed {
        /// The key.
        key: KeyLabel,
    },
    /// The commit under a hold failed; the hold was closed.
    #[error("the commit under the hold on `{key}` failed")]
    Commit {
        /// The key.
        key: KeyLabel,
        /// What the commit said.
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// The source was not written, or nobody can tell whether it was: [`is_in_doubt`](crate::Error::is_in_doubt) tells them apart.
    /// Nothing older is served than what it has.
    #[error("{operation} of {what} failed at the source")]
    Sink {
        /// What was called.
        operation: &'static str,
        /// The key, or how many keys.
        what: String,
        /// What the sink said.
        source: Arc<SinkError>,
    },
    /// The value could not be encoded, or is too large.
    #[error("the value of `{key}` cannot be stored")]
    Encode {
        /// The key.
        key: KeyLabel,
        /// Why.
        source: CodecError,
    },
    /// What is under a plain key is not of this type: another program's, or another version of it.
    #[error("the value of `{key}` is not of the expected type; remove it, or read it as what it is")]
    Decode {
        /// The key.
        key: KeyLabel,
        /// Why.
        source: CodecError,
    },
    /// A tag is empty, longer than 255 bytes, or one too many.
    #[error("`{key}` cannot be tagged: {why} (a value has at most 64 tags of 1 to 255 bytes)")]
    Tags {
        /// The key.
        key: KeyLabel,
        /// What is wrong.
        why: String,
    },
    /// The store has no memory left; what was there before is gone, so that no old value stays.
    #[error("the store is out of memory, `{key}` was not stored; raise its `maxmemory` or choose an evicting policy")]
    StoreFull {
        /// The key.
        key: KeyLabel,
    },
    /// Under write-behind: too much waits to be flushed, and the write waited in vain for room. Nothing was written.
    #[error(
        "`{key}` was not written: {entries} keys of its partition, {bytes} bytes, wait to be flushed, and there was no room within \
         {waited:?}; see why the source is slow, or raise `WriteBehind::max_entries` or `max_bytes`"
    )]
    Backpressure {
        /// The key.
        key: KeyLabel,
        /// Keys of its partition that wait.
        entries: u64,
        /// Their bytes.
        bytes: u64,
        /// For how long it waited.
        waited: Duration,
    },
    /// Under write-behind: the source refused a change for good, and there is no room among the dead letters, so that the
    /// change waits and its partition with it.
    #[error(
        "a change was refused by the source and there is no room for it among the dead letters ({letters} in its partition); \
         replay or drop some, or raise `WriteBehind::dead_letters`"
    )]
    DeadLettersFull {
        /// How many there may be.
        letters: usize,
    },
    /// Under write-behind: others wrote the key all the time while an update was computed. Nothing was written.
    #[error("the update of `{key}` was overtaken by other writes for {waited:?}; nothing was written")]
    Contended {
        /// The key.
        key: KeyLabel,
        /// For how long it was tried.
        waited: Duration,
    },
    /// The operation makes no sense with this cache's settings.
    #[error("{operation} is refused: {why}; use `{instead}`")]
    Refused {
        /// What was called.
        operation: &'static str,
        /// Why not.
        why: &'static str,
        /// What to call.
        instead: &'static str,
    },
    /// A setting, or two that contradict each other; the text names them.
    #[error("{0}")]
    Config(String),
    /// The cache was drained.
    #[error("the cache `{namespace}` was drained")]
    Closed {
        /// The namespace.
        namespace: Arc<str>,
    },
}

/// Which setting helps: none where the store did answer.
fn what_then(error: &StoreError) -> &'static str {
    if error.is_connection() {
        "; `on_store_down` chooses what a read does when the store cannot be reached"
    } else {
        ""
    }
}

impl Error {
    pub(crate) fn config(text: impl Into<String>) -> Self {
        ErrorKind::Config(text.into()).into()
    }

    pub(crate) fn load(key: KeyLabel, source: BoxError) -> Self {
        Self::from(ErrorKind::Load {
            key,
            source: source.into(),
        })
    }

    /// A failure of the store's as what it means to the caller; any other as it is.
    pub(crate) fn map_store(self, meaning: impl FnOnce(Arc<StoreError>) -> ErrorKind) -> Self {
        match self.kind() {
            ErrorKind::Store { source, .. } => meaning(source.clone()).into(),
            _ => self,
        }
    }

    /// What failed, and on what.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0
    }

    /// What the store said, if it is the cause.
    #[must_use]
    pub fn store_error(&self) -> Option<&StoreError> {
        match self.kind() {
            ErrorKind::Store { source, .. }
            | ErrorKind::Pending { source, .. }
            | ErrorKind::OutcomeUnknown { source, .. } => Some(source),
            _ => None,
        }
    }

    /// Whether an invalidation waits to be acknowledged.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        matches!(self.kind(), ErrorKind::Pending { .. })
    }

    /// Whether a limit of time was reached, the loader's or the store's.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.kind(), ErrorKind::LoadTimeout { .. }) || self.store_error().is_some_and(StoreError::is_timeout)
    }

    /// Whether the loader or the source is the cause.
    #[must_use]
    pub fn is_load(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::Load { .. } | ErrorKind::LoadTimeout { .. } | ErrorKind::LoadPanicked { .. }
        )
    }

    /// Whether the load was not begun, for too many ran and waited: worth trying again when there is less to do.
    #[must_use]
    pub fn is_overloaded(&self) -> bool {
        matches!(self.kind(), ErrorKind::Overloaded { .. })
    }

    /// Whether the key is known not to exist.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self.kind(), ErrorKind::Absent { .. })
    }

    /// Whether a write may have been done or not.
    #[must_use]
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self.kind(), ErrorKind::OutcomeUnknown { .. })
    }

    /// Whether a write to the source failed such that it may have been committed or not.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        matches!(self.kind(), ErrorKind::Sink { source, .. } if source.is_in_doubt())
    }

    /// What the sink said, if it is the cause.
    #[must_use]
    pub fn sink_error(&self) -> Option<&SinkError> {
        match self.kind() {
            ErrorKind::Sink { source, .. } => Some(source),
            _ => None,
        }
    }

    /// Whether the store could not be reached or did not answer.
    #[must_use]
    pub fn is_store_down(&self) -> bool {
        self.store_error().is_some_and(StoreError::is_connection)
    }

    /// Whether a setting is wrong or the call makes no sense with the settings: trying again cannot help.
    #[must_use]
    pub fn is_config(&self) -> bool {
        matches!(self.kind(), ErrorKind::Config(_) | ErrorKind::Refused { .. })
    }

    /// Whether too much waits to be flushed: worth trying again later, or shedding load.
    #[must_use]
    pub fn is_backpressure(&self) -> bool {
        matches!(self.kind(), ErrorKind::Backpressure { .. })
    }

    /// Whether another writer holds the key.
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(self.kind(), ErrorKind::Held { .. })
    }
}

fn shown_unkept(error: &std::io::Error) -> String {
    format!(", and it could not be kept on disk ({error}): it is lost if this process ends before")
}

#[cfg(test)]
mod tests {
    use std::io;

    use larder_store::redis::RedisError;

    use super::*;

    fn failed(source: StoreError) -> String {
        let operation = "INCRBY";
        let source = Arc::new(source);
        ErrorKind::Store { operation, source }.to_string()
    }

    #[test]
    fn the_setting_for_a_store_that_is_down_is_named_only_then() {
        let lost = StoreError::Lost {
            address: "localhost:6379".into(),
            command: "INCRBY".into(),
        };
        assert!(failed(lost).contains("`on_store_down`"));
        let overflow = RedisError::from(io::Error::other("ERR increment or decrement would overflow"));
        assert_eq!(failed(overflow.into()), "the store failed at INCRBY");
    }
}
