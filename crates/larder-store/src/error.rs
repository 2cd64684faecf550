//! Why a store could not do what was asked, in one place, so that the messages can be read side by side.

use std::{error::Error, io, sync::Arc, time::Duration};

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why a store could not do what was asked. Cheap to clone: callers who share a request share its failure.
///
/// It travels through the `redis` crate and back: `RedisError::from(StoreError)` is what
/// [`ConnectionLike`](redis::aio::ConnectionLike) returns, and `StoreError::from(RedisError)` finds it again.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A URL or a setting that cannot be meant; the text names it.
    #[error("{0}")]
    Config(String),
    /// A scheme that is understood and whose backend this version does not have.
    #[error("{what} is not built yet; `embedded:`, `redis://` and `redis+unix://` are")]
    NotBuilt {
        /// The scheme or the part of it, such as `rediss://`.
        what: String,
    },
    /// The server could not be reached, or did not let us in. Nothing was sent.
    #[error("could not connect to {address} (attempt {attempts}): {source}{}", what_then(source.as_ref()))]
    Connect {
        /// The address as configured, without credentials.
        address: Arc<str>,
        /// How many attempts failed in a row; `max_attempts` of the retry policy bounds those of one call.
        attempts: u32,
        /// What the network or the server said.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// No answer within the command deadline.
    #[error(
        "{address} did not answer {command} within {waited:?}; raise `read_timeout` and `write_timeout`, which together are the command deadline"
    )]
    Timeout {
        /// The address as configured.
        address: Arc<str>,
        /// The name of the command, or what else was waited for.
        command: Arc<str>,
        /// How long was waited.
        waited: Duration,
        /// Whether the command may have reached the server.
        sent: bool,
    },
    /// The connection broke while the answer was awaited: the command may have run or not.
    #[error("lost the connection to {address} while waiting for the answer to {command}: it may have run")]
    Lost {
        /// The address as configured.
        address: Arc<str>,
        /// The name of the command.
        command: Arc<str>,
    },
    /// The command would block or change the connection that all callers share, or fits none of ours.
    #[error("{command} is refused on {handle}: it {why}; use `{instead}`")]
    Refused {
        /// What the command was given to.
        handle: &'static str,
        /// The name of the command.
        command: String,
        /// What it would do to the other callers.
        why: &'static str,
        /// The call to use.
        instead: &'static str,
    },
    /// Too many failures in a row: nothing is sent until the breaker lets a probe through.
    #[error(
        "the breaker of {address} is open after repeated failures; next probe in {retry_in:?} (`breaker_open_for`)"
    )]
    BreakerOpen {
        /// The address as configured.
        address: Arc<str>,
        /// When the next probe may pass.
        retry_in: Duration,
        /// Why the last attempt to connect failed, if one was made.
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// Every dedicated connection is in use.
    #[error(
        "no dedicated connection to {address} became free within {waited:?}; raise `pool_size` ({size}) or `pool_timeout`"
    )]
    PoolTimeout {
        /// The address as configured.
        address: Arc<str>,
        /// How long was waited.
        waited: Duration,
        /// The bound on connections.
        size: usize,
    },
    /// An earlier command on this dedicated connection was given up before its answer came.
    #[error(
        "a command on this dedicated connection to {address} was abandoned before its answer came; drop it and take another with `Store::dedicated()`"
    )]
    Abandoned {
        /// The address as configured.
        address: Arc<str>,
    },
    /// Client tracking could not be turned on.
    #[error("{address} does not track what we read; it takes RESP3 (`resp=3`) and a server from 6.0 on")]
    Tracking {
        /// The address as configured.
        address: Arc<str>,
        /// What the server or the connection said.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// What was written has not reached as many replicas as were asked for.
    #[error(
        "{reached} of {replicas} replicas of {address} acknowledged a write within {within:?}; see whether they are connected"
    )]
    Unreplicated {
        /// The address as configured.
        address: Arc<str>,
        /// How many acknowledged it.
        reached: u32,
        /// How many were to.
        replicas: u32,
        /// How long was waited.
        within: Duration,
    },
    /// The append-only log of an embedded engine could not be opened; nothing was changed. The text says what to do.
    #[error("{0}")]
    Log(Arc<dyn Error + Send + Sync>),
    /// An embedded engine did what was asked and could not write it to its append-only log: it holds until the process
    /// ends, and may be lost then. Later writes are refused with `MISCONF`.
    #[error("{command} was done, and its log failed: {reason}")]
    Unlogged {
        /// The name of the command.
        command: Arc<str>,
        /// What the engine says of it, and what to do.
        reason: Arc<str>,
    },
    /// [`Store::close`](crate::Store::close) was called.
    #[error("the store {address} was closed")]
    Closed {
        /// The address as configured.
        address: Arc<str>,
    },
    /// The server answered with an error, or with something that could not be read.
    #[error("the store answered {0}")]
    Server(RedisError),
}

/// What to do where the server did not let us in.
fn what_then(cause: &(dyn Error + Send + Sync + 'static)) -> &'static str {
    let refused = cause.downcast_ref::<RedisError>().is_some_and(|error| {
        error.kind() == ErrorKind::AuthenticationFailed || matches!(error.code(), Some("NOAUTH" | "WRONGPASS"))
    });
    if refused {
        "; check user and password in the URL"
    } else {
        ""
    }
}

impl StoreError {
    pub(crate) fn config(text: impl Into<String>) -> Self {
        Self::Config(text.into())
    }

    /// Whether time ran out, of the command or of the wait for a connection.
    #[must_use]
    pub const fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout { .. } | Self::PoolTimeout { .. })
    }

    /// Whether the command may have run although its answer was not seen. It must not simply be repeated unless
    /// running it twice is as good as once.
    #[must_use]
    pub const fn is_unknown_outcome(&self) -> bool {
        matches!(
            self,
            Self::Lost { .. } | Self::Unlogged { .. } | Self::Timeout { sent: true, .. }
        )
    }

    /// Whether the server could not be talked to: unreachable, silent, cut off, or given up on by the breaker.
    #[must_use]
    pub const fn is_connection(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. } | Self::Lost { .. } | Self::Timeout { .. } | Self::BreakerOpen { .. }
        )
    }

    /// Whether the command is one that the shared handle refuses.
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// Whether the breaker held the command back.
    #[must_use]
    pub const fn is_breaker_open(&self) -> bool {
        matches!(self, Self::BreakerOpen { .. })
    }

    /// Whether a URL or a setting is wrong: trying again cannot help.
    #[must_use]
    pub const fn is_config(&self) -> bool {
        matches!(self, Self::Config(_) | Self::NotBuilt { .. })
    }

    /// Whether the store was closed.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::Closed { .. })
    }

    /// The code of the error the server answered with, such as `OOM` or `WRONGTYPE`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Server(error) => error.code(),
            _ => None,
        }
    }

    /// Whether the server answered that it has no memory left (`maxmemory` with a policy that evicts nothing).
    #[must_use]
    pub fn is_out_of_memory(&self) -> bool {
        self.code() == Some("OOM")
    }

    /// Whether the server answered that a key holds a value of another type.
    #[must_use]
    pub fn is_wrong_type(&self) -> bool {
        self.code() == Some("WRONGTYPE")
    }

    pub(crate) fn is_no_script(&self) -> bool {
        matches!(self, Self::Server(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript))
    }

    /// The kind under which this shows through the `redis` crate, whose retry helpers go by it.
    const fn io_kind(&self) -> io::ErrorKind {
        match self {
            Self::Timeout { .. } | Self::PoolTimeout { .. } | Self::Unreplicated { .. } => io::ErrorKind::TimedOut,
            Self::Lost { .. } => io::ErrorKind::ConnectionReset,
            Self::Connect { .. } | Self::BreakerOpen { .. } => io::ErrorKind::ConnectionRefused,
            Self::Closed { .. } => io::ErrorKind::NotConnected,
            Self::Config(_)
            | Self::NotBuilt { .. }
            | Self::Refused { .. }
            | Self::Tracking { .. }
            | Self::Abandoned { .. }
            | Self::Log(_)
            | Self::Unlogged { .. }
            | Self::Server(_) => io::ErrorKind::Unsupported,
        }
    }
}

impl From<StoreError> for RedisError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Server(error) => error,
            error => io::Error::new(error.io_kind(), error).into(),
        }
    }
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        // The crate hands its cause out inside the `Arc` in which it keeps it.
        let ours = error
            .source()
            .and_then(|source| source.downcast_ref::<Arc<dyn Error + Send + Sync>>())
            .and_then(|source| source.downcast_ref::<io::Error>())
            .and_then(io::Error::get_ref)
            .and_then(|inner| inner.downcast_ref::<Self>());
        match ours {
            Some(ours) => ours.clone(),
            None => Self::Server(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_way_through_the_redis_crate() {
        let lost = StoreError::Lost {
            address: "localhost:6379".into(),
            command: "INCR".into(),
        };
        let through = RedisError::from(lost);
        assert!(through.is_connection_dropped());
        let back = StoreError::from(through);
        assert!(back.is_unknown_outcome() && back.is_connection(), "{back:?}");
    }

    #[test]
    fn a_servers_error_keeps_its_code() {
        let value = redis::parse_redis_value(b"-OOM command not allowed\r\n").unwrap();
        let error = StoreError::from(value.extract_error().unwrap_err());
        assert!(error.is_out_of_memory() && !error.is_unknown_outcome());
        assert_eq!(RedisError::from(error).code(), Some("OOM"));
    }
}
