//! Building a lock: every setting with its default.

use std::{fmt, time::Duration};

use larder_store::Store;

use super::LockError;

/// A lease's default: a holder that dies keeps others out for so long, and a store may be away for two thirds of it.
const TTL: Duration = Duration::from_secs(10);

/// Below it a renewal would have less time than a busy machine takes for a round trip.
const TTL_MIN: Duration = Duration::from_millis(100);

/// Beyond it a lease protects nobody from a holder that died.
const TTL_MAX: Duration = Duration::from_secs(24 * 3_600);

/// How long `acquire` waits by default: longer than most leases, shorter than people's patience.
const WAIT: Duration = Duration::from_secs(30);

/// Builds a [`StoreLock`](super::StoreLock), or another tool of this module. Required: [`store`](Self::store).
#[must_use = "a builder does nothing before `build`"]
pub struct LockBuilder<T> {
    settings: Settings,
    make: Make<T>,
}

/// Makes the tool of settings that were checked.
type Make<T> = Box<dyn FnOnce(&Settings) -> Result<T, LockError> + Send>;

pub(super) struct Settings {
    pub(super) namespace: String,
    pub(super) ttl: Duration,
    pub(super) wait: Duration,
    pub(super) watchdog: bool,
    pub(super) grace: Option<Duration>,
    store: Option<Store>,
}

impl<T> fmt::Debug for LockBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockBuilder")
            .field("namespace", &self.settings.namespace)
            .field("ttl", &self.settings.ttl)
            .finish_non_exhaustive()
    }
}

impl<T> LockBuilder<T> {
    pub(super) fn new(
        namespace: impl Into<String>,
        make: impl FnOnce(&Settings) -> Result<T, LockError> + Send + 'static,
    ) -> Self {
        let settings = Settings {
            namespace: namespace.into(),
            ttl: TTL,
            wait: WAIT,
            watchdog: true,
            grace: None,
            store: None,
        };
        Self {
            settings,
            make: Box::new(make),
        }
    }

    /// Where it is kept and shared. Required.
    pub fn store(mut self, store: &Store) -> Self {
        self.settings.store = Some(store.clone());
        self
    }

    /// For how long a grant lasts if nobody renews it: so long a holder that died keeps others out. Default 10 s, from 100 ms
    /// to a day.
    ///
    /// A holder counts it as over a little earlier than the store does: by a thousandth for the clocks, and by a twentieth,
    /// 10 ms at least and 500 ms at most, in which its work stops.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.settings.ttl = ttl;
        self
    }

    /// For how long [`acquire`](super::Lock::acquire) waits while others hold it. Default 30 s.
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.settings.wait = wait;
        self
    }

    /// Whether what is held is renewed every third of [`ttl`](Self::ttl), for as long as its guard lives. Default: yes. Without, a
    /// lease ends after its `ttl`, or is [extended](super::Guard::extend) by hand.
    pub const fn watchdog(mut self, watches: bool) -> Self {
        self.settings.watchdog = watches;
        self
    }

    /// After a restart or a failover of the server, which may have lost who holds what, this process takes nothing for `span`:
    /// set it to the longest `ttl` that anybody uses in this namespace, and whoever held a lock before has lost it by then.
    /// Default: off, for it makes every restart cost that time.
    ///
    /// It helps where this process has been connected to the server before; one that begins later knows of no other. The
    /// [fence](super::Guard::fence) needs no such waiting.
    pub const fn grace(mut self, span: Duration) -> Self {
        self.settings.grace = Some(span);
        self
    }

    /// Makes it. Nothing is asked of the store yet.
    ///
    /// # Errors
    /// [`LockError::Namespace`]; [`LockError::Config`] for what is missing or out of its range.
    pub fn build(self) -> Result<T, LockError> {
        self.settings.check()?;
        (self.make)(&self.settings)
    }
}

/// What is wrong with `ttl` as the time of a lease.
pub(crate) fn wrong_ttl(what: &str, ttl: Duration) -> Option<String> {
    let is_wrong = !(TTL_MIN..=TTL_MAX).contains(&ttl);
    is_wrong.then(|| format!("{what} is from {TTL_MIN:?} to {TTL_MAX:?}, not {ttl:?}"))
}

impl Settings {
    fn check(&self) -> Result<(), LockError> {
        if let Some(text) = wrong_ttl("a lock's `ttl`", self.ttl) {
            return Err(LockError::Config(text));
        }
        self.checked_store().map(drop)
    }

    pub(super) fn checked_store(&self) -> Result<Store, LockError> {
        let missing = || LockError::Config("a lock needs a store: `.store(&store)`".into());
        self.store.clone().ok_or_else(missing)
    }
}
