//! Every setting of a store, with its default.

mod env;
mod parse;
mod secret;
mod url;

use std::{path::PathBuf, sync::Arc, time::Duration};

use larder_base::{Clock, Random};

pub(crate) use secret::Secret;

use crate::{Dial, StoreError, dial::Dialer};

/// Where a store's data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// An engine of its own, in this process.
    Embedded {
        /// Bytes of keys and values; 0 is no bound.
        maxmemory: usize,
        /// The eviction policy, in Redis's words.
        policy: Option<String>,
        /// Where its append-only log lies; without one, data is in memory alone.
        folder: Option<PathBuf>,
        /// When the log is synced, in Redis's words.
        fsync: Option<String>,
    },
    Tcp {
        host: String,
        port: u16,
    },
    Unix {
        path: PathBuf,
    },
}

/// The version of the protocol spoken with a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resp {
    /// RESP2, for servers before 6.0. No pushes, hence neither `listen()` nor `subscribe()`.
    V2,
    /// RESP3, the default.
    #[default]
    V3,
}

/// How often and how fast something that failed is tried again: a command whose failure allows it, and the
/// connection, the first one included.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in all, the first included. Default 3; 1 is no retry.
    pub max_attempts: u32,
    /// The pause before the second attempt. Default 50 ms.
    pub delay: Duration,
    /// By what each further pause grows. Default 2.
    pub factor: f64,
    /// The longest pause. Default 1 s, so that a store is back within 2 s of its server's return.
    pub max_delay: Duration,
    /// The share of a pause that is random, 0 to 1. Default 0.2; it keeps many clients from returning at once.
    pub jitter: f64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            delay: Duration::from_millis(50),
            factor: 2.0,
            max_delay: Duration::from_secs(1),
            jitter: 0.2,
        }
    }
}

impl RetryPolicy {
    /// The pause after `failures` failures in a row (at least one).
    pub(crate) fn pause(&self, failures: u32, random: &Random) -> Duration {
        let grown = self.delay.as_secs_f64() * self.factor.powi(failures.saturating_sub(1).min(64) as i32);
        let bounded = grown.min(self.max_delay.as_secs_f64());
        Duration::from_secs_f64(bounded * (1.0 - self.jitter * random.unit()))
    }
}

/// When a store stops asking a server that keeps failing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Failures in a row (unreachable, lost, timed out) that open the breaker. Default 5; 0 turns it off.
    pub failures: u32,
    /// How long an open breaker refuses everything before it lets one probe through. Default 1 s.
    pub open_for: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            failures: 5,
            open_for: Duration::from_secs(1),
        }
    }
}

/// The pool behind [`Store::dedicated`](crate::Store::dedicated).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PoolConfig {
    pub(crate) size: usize,
    pub(crate) min_idle: usize,
    pub(crate) max_age: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) timeout: Duration,
}

/// Everything that can be set of a store; [`from_url`](Self::from_url) reads it from a URL and its parameters.
///
/// ```
/// use std::time::Duration;
/// use larder_store::StoreConfig;
///
/// let config = StoreConfig::from_url("redis://app:secret@cache.internal/2?read_timeout=500ms")?
///     .client_name("checkout")
///     .pool_size(20);
/// assert_eq!(config.to_string(), "redis://app:***@cache.internal:6379/2");
/// assert_eq!(config.command_deadline(), Duration::from_secs(1));
/// # Ok::<(), larder_store::StoreError>(())
/// ```
#[derive(Clone, Debug)]
pub struct StoreConfig {
    pub(crate) target: Target,
    pub(crate) db: u32,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) client_name: Option<String>,
    pub(crate) resp: Resp,
    pub(crate) connections: usize,
    pub(crate) pool: PoolConfig,
    pub(crate) connect_timeout: Duration,
    pub(crate) read_timeout: Duration,
    pub(crate) write_timeout: Option<Duration>,
    pub(crate) retry: RetryPolicy,
    pub(crate) breaker: BreakerPolicy,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) dialer: Option<Dialer>,
}

impl StoreConfig {
    /// One Redis or Valkey at `host:port`, everything else as by default.
    #[must_use]
    pub fn tcp(host: impl Into<String>, port: u16) -> Self {
        Self::of(Target::Tcp {
            host: host.into(),
            port,
        })
    }

    /// A server behind the Unix socket at `path`.
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::of(Target::Unix { path: path.into() })
    }

    /// A new engine in this process, without a bound on memory.
    #[must_use]
    pub fn embedded() -> Self {
        Self::of(Target::Embedded {
            maxmemory: 0,
            policy: None,
            folder: None,
            fsync: None,
        })
    }

    /// A new engine in this process with what its append-only log in `folder` holds; from now on what is written goes
    /// there too. `fsync` says when it is safe from a loss of power: `always` (before it is answered), `everysec` (within
    /// about a second) or `no`.
    ///
    /// The folder has one owner. Two stores in one process share the data through [`Store::shared`](crate::Store::shared)
    /// or [`Store::embedded`](crate::Store::embedded).
    #[must_use]
    pub fn embedded_in(folder: impl Into<PathBuf>, fsync: &str) -> Self {
        Self::of(Target::Embedded {
            maxmemory: 0,
            policy: None,
            folder: Some(folder.into()),
            fsync: Some(fsync.to_owned()),
        })
    }

    pub(crate) fn of(target: Target) -> Self {
        Self {
            target,
            db: 0,
            username: None,
            password: None,
            client_name: None,
            resp: Resp::default(),
            connections: 1,
            pool: PoolConfig {
                size: 10,
                min_idle: 0,
                max_age: None,
                idle_timeout: Some(Duration::from_secs(30 * 60)),
                timeout: Duration::from_secs(3),
            },
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(3),
            write_timeout: None,
            retry: RetryPolicy::default(),
            breaker: BreakerPolicy::default(),
            clock: Clock::system(),
            random: Random::system(),
            dialer: None,
        }
    }

    /// The database to select; 0 by default.
    #[must_use]
    pub const fn db(mut self, db: u32) -> Self {
        self.db = db;
        self
    }

    /// The ACL user; none by default, which is the server's user `default`.
    #[must_use]
    pub fn username(mut self, name: impl Into<String>) -> Self {
        self.username = Some(name.into());
        self
    }

    /// The password; none by default. It is shown nowhere.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(Secret::new(password.into()));
        self
    }

    /// The name that `CLIENT LIST` shows for our connections; none by default.
    #[must_use]
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.client_name = Some(name.into());
        self
    }

    /// The protocol version; RESP3 by default.
    #[must_use]
    pub const fn resp(mut self, resp: Resp) -> Self {
        self.resp = resp;
        self
    }

    /// Shared multiplexed connections; 1 by default. On a few cores more of them cost more than they bring: two
    /// took a tenth and four two fifths off the throughput of one.
    #[must_use]
    pub const fn connections(mut self, n: usize) -> Self {
        self.connections = n;
        self
    }

    /// Dedicated connections at most; 10 by default.
    #[must_use]
    pub const fn pool_size(mut self, n: usize) -> Self {
        self.pool.size = n;
        self
    }

    /// Dedicated connections kept open although nobody uses them; 0 by default.
    #[must_use]
    pub const fn min_idle(mut self, n: usize) -> Self {
        self.pool.min_idle = n;
        self
    }

    /// A dedicated connection older than this is not used again; no bound by default.
    #[must_use]
    pub const fn max_conn_age(mut self, age: Duration) -> Self {
        self.pool.max_age = Some(age);
        self
    }

    /// A dedicated connection that was idle for longer is closed; 30 min by default.
    #[must_use]
    pub const fn idle_timeout(mut self, idle: Duration) -> Self {
        self.pool.idle_timeout = Some(idle);
        self
    }

    /// How long to wait for a dedicated connection when all are in use; 3 s by default.
    #[must_use]
    pub const fn pool_timeout(mut self, wait: Duration) -> Self {
        self.pool.timeout = wait;
        self
    }

    /// For one attempt to connect, greetings included; 5 s by default.
    #[must_use]
    pub const fn connect_timeout(mut self, wait: Duration) -> Self {
        self.connect_timeout = wait;
        self
    }

    /// The share of the command deadline meant for the answer; 3 s by default.
    #[must_use]
    pub const fn read_timeout(mut self, wait: Duration) -> Self {
        self.read_timeout = wait;
        self
    }

    /// The share of the command deadline meant for sending; as long as `read_timeout` by default.
    #[must_use]
    pub const fn write_timeout(mut self, wait: Duration) -> Self {
        self.write_timeout = Some(wait);
        self
    }

    /// How failures are retried.
    #[must_use]
    pub const fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// When to stop asking for a while.
    #[must_use]
    pub const fn breaker(mut self, policy: BreakerPolicy) -> Self {
        self.breaker = policy;
        self
    }

    /// The clock for deadlines and, of an embedded engine, for expiry; the machine's by default.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The source of randomness for jitter; the system's by default.
    #[must_use]
    pub fn random(mut self, random: Random) -> Self {
        self.random = random;
        self
    }

    /// Where connections come from instead of sockets: for tests that imagine the network. The address then only names the
    /// server. Not for an embedded engine, which has no connections.
    #[must_use]
    pub fn dialer(mut self, dialer: Arc<dyn Dial>) -> Self {
        self.dialer = Some(dialer);
        self
    }

    /// How long a command may take in all, its retries included: `write_timeout` + `read_timeout`, 6 s by default.
    ///
    /// A connection that leaves a command unanswered for so long is replaced, which is noticed up to an eighth of
    /// the deadline late: one timer per connection costs less than one per command.
    #[must_use]
    pub fn command_deadline(&self) -> Duration {
        self.read_timeout + self.write_timeout.unwrap_or(self.read_timeout)
    }

    pub(crate) const fn is_embedded(&self) -> bool {
        matches!(self.target, Target::Embedded { .. })
    }

    /// Whether it is an engine with a log, which has to be read first.
    pub(crate) const fn is_logged(&self) -> bool {
        matches!(self.target, Target::Embedded { folder: Some(_), .. })
    }

    /// The address for errors and metrics: no credentials, no database.
    pub(crate) fn address(&self) -> Arc<str> {
        match &self.target {
            Target::Embedded { .. } => "embedded:".into(),
            Target::Tcp { host, port } => format!("{host}:{port}").into(),
            Target::Unix { path } => path.display().to_string().into(),
        }
    }

    /// Refuses settings that contradict each other, naming both.
    pub(crate) fn validate(&self) -> Result<(), StoreError> {
        let refuse = |text: &str| Err(StoreError::config(text));
        if self.username.is_some() && self.password.is_none() {
            return refuse("`username` is set without `password`: a server asks for both");
        }
        if self.connections == 0 {
            return refuse("`connections` is 0: at least one shared connection is needed");
        }
        if self.pool.size == 0 {
            return refuse("`pool_size` is 0: `dedicated()` could never be served");
        }
        if self.pool.min_idle > self.pool.size {
            return Err(StoreError::config(format!(
                "`min_idle` ({}) is above `pool_size` ({}): lower one or raise the other",
                self.pool.min_idle, self.pool.size
            )));
        }
        if self.connect_timeout.is_zero() || self.command_deadline().is_zero() {
            return refuse("`connect_timeout`, and `read_timeout` with `write_timeout`, must be above zero");
        }
        self.validate_retry()
    }

    fn validate_retry(&self) -> Result<(), StoreError> {
        let retry = &self.retry;
        if retry.max_attempts == 0 {
            return Err(StoreError::config(
                "`max_attempts` is 0: 1 is a single attempt without retries",
            ));
        }
        if retry.delay > retry.max_delay {
            return Err(StoreError::config(format!(
                "`retry_delay` ({:?}) is above `retry_max_delay` ({:?})",
                retry.delay, retry.max_delay
            )));
        }
        if !(retry.factor.is_finite() && retry.factor >= 1.0) {
            return Err(StoreError::config("`retry_factor` must be a number of at least 1"));
        }
        if !(0.0..=1.0).contains(&retry.jitter) {
            return Err(StoreError::config("`retry_jitter` must be between 0 and 1"));
        }
        Ok(())
    }
}
