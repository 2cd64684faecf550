//! Where and how to serve.

use std::{fmt, path::PathBuf, time::Duration};

use crate::settings::WireLimits;

/// The settings of a [`Server`](super::Server); by default it listens on `127.0.0.1:6379` without a password.
#[derive(Clone, Default)]
pub struct ServeConfig {
    pub(super) bind: Vec<String>,
    pub(super) unix: Option<PathBuf>,
    pub(super) password: Option<String>,
    pub(super) clients_max: Option<usize>,
    pub(super) idle_max: Option<Duration>,
    pub(super) unprotected: bool,
}

impl fmt::Debug for ServeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeConfig")
            .field("bind", &self.bind)
            .field("unix", &self.unix)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("clients_max", &self.clients_max)
            .field("idle_max", &self.idle_max)
            .field("unprotected", &self.unprotected)
            .finish()
    }
}

impl ServeConfig {
    /// The address when none is given: Redis's port, this machine only.
    pub const DEFAULT_BIND: &str = "127.0.0.1:6379";

    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Listens on `host:port`; port 0 takes a free one. May be given several times.
    #[must_use]
    pub fn bind(mut self, address: impl Into<String>) -> Self {
        self.bind.push(address.into());
        self
    }

    /// Listens on a Unix socket at `path`, and not on TCP unless [`bind`](Self::bind) is given too.
    /// A socket there that nobody listens on is replaced; anything else there is kept, and refused.
    #[must_use]
    pub fn unix(mut self, path: impl Into<PathBuf>) -> Self {
        self.unix = Some(path.into());
        self
    }

    /// Asks every client for this password (`AUTH`); none by default. An empty one is none, as in Redis.
    #[must_use]
    pub fn requirepass(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into()).filter(|password| !password.is_empty());
        self
    }

    /// Connections at one time; 10,000 by default. One more is told so and closed.
    #[must_use]
    pub fn clients_max(mut self, clients: usize) -> Self {
        self.clients_max = Some(clients);
        self
    }

    /// Closes a connection that sent nothing for so long; zero, the default, is never. Subscribers are exempt.
    #[must_use]
    pub fn idle_timeout(mut self, span: Duration) -> Self {
        self.idle_max = Some(span);
        self
    }

    /// Allows addresses that other machines can reach without a password. Whoever reaches such a server can read,
    /// change and delete everything in it.
    #[must_use]
    pub fn unprotected(mut self) -> Self {
        self.unprotected = true;
        self
    }

    pub(crate) fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// Writes what was chosen over the defaults.
    pub(crate) fn limit(&self, limits: &mut WireLimits) {
        limits.clients_max = self.clients_max.unwrap_or(limits.clients_max);
        limits.idle_max = self.idle_max.unwrap_or(limits.idle_max);
    }
}
