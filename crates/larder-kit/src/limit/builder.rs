//! How a limiter is made.

use std::time::Duration;

use larder_store::Store;

use super::{Limit, LimitError, Limiter, Limits, OnStoreDown, plan::Settings};
use crate::names::Namespace;

/// Makes a [`Limiter`]. It can be built once [`on_store_down`](Self::on_store_down) has been said: which policy is right
/// only the service knows, so there is no default to forget.
///
/// ```compile_fail
/// # use larder_kit::limit::{Gcra, Limiter};
/// # fn build(store: &larder_store::Store) {
/// let api = Limiter::builder("api").store(store).limit(Gcra::per_second(100)).build(); // no `on_store_down`
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct LimiterBuilder<Down = ()> {
    namespace: String,
    store: Option<Store>,
    limits: Limits,
    refresh: Duration,
    batch: u64,
    believed: Duration,
    down: Down,
}

/// How often a process looks whether limits were changed, unless said otherwise.
const REFRESH: Duration = Duration::from_secs(1);

impl LimiterBuilder {
    pub(super) fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            store: None,
            limits: Limits::new(),
            refresh: REFRESH,
            batch: 0,
            believed: Duration::ZERO,
            down: (),
        }
    }
}

impl<Down> LimiterBuilder<Down> {
    /// Where it is counted. Required.
    pub fn store(mut self, store: &Store) -> Self {
        self.store = Some(store.clone());
        self
    }

    /// One more limit, under the name of its kind. At least one is required; several are checked as one.
    pub fn limit<L: TryInto<Limit, Error: Into<LimitError>>>(mut self, limit: L) -> Self {
        self.limits = self.limits.limit(limit);
        self
    }

    /// One more limit, under a name of its own.
    pub fn limit_as<L: TryInto<Limit, Error: Into<LimitError>>>(mut self, name: &str, limit: L) -> Self {
        self.limits = self.limits.limit_as(name, limit);
        self
    }

    /// These limits instead of those said before.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How often this process looks whether [`reconfigure`](Limiter::reconfigure) changed the limits; 1 s unless said. The
    /// look travels with a check, so it costs no round trip. Zero: with every check.
    pub fn refresh(mut self, every: Duration) -> Self {
        self.refresh = every;
        self
    }

    /// Takes `permits` at once for a subject that has none, and hands them out without asking the store: fewer round trips,
    /// and less exact. Of N processes each may hold `permits` from before, so in any interval up to N × `permits` more pass
    /// than the limits say; permits that are never used are lost to others. 0, the default: one by one.
    ///
    /// At most the capacity of the smallest limit; where limits become smaller at run time, so do the batches.
    pub fn borrow_ahead(mut self, permits: u64) -> Self {
        self.batch = permits;
        self
    }

    /// Denies without asking the store what it would surely deny: a call that costs as much as one that was denied, before
    /// the moment from which the store said that there is room. It is believed for `up_to`; zero, the default: never.
    ///
    /// The error: room made by [`reset`](Limiter::reset) in another process, by changed limits or by a step of the server's
    /// clock is seen up to `up_to` later. It never admits what the store would not.
    pub fn remember_denials(mut self, up_to: Duration) -> Self {
        self.believed = up_to;
        self
    }

    /// What becomes of calls while the store does not answer. Required.
    pub fn on_store_down(self, policy: OnStoreDown) -> LimiterBuilder<OnStoreDown> {
        LimiterBuilder {
            namespace: self.namespace,
            store: self.store,
            limits: self.limits,
            refresh: self.refresh,
            batch: self.batch,
            believed: self.believed,
            down: policy,
        }
    }
}

impl LimiterBuilder<OnStoreDown> {
    /// The limiter. Nothing is sent yet.
    ///
    /// # Errors
    /// [`LimitError::Config`] if a setting is missing or cannot be meant.
    pub fn build(self) -> Result<Limiter, LimitError> {
        let namespace = Namespace::new(&self.namespace)?;
        let missing = || LimitError::config("a limiter has no store; add `.store(&store)`");
        let store = self.store.ok_or_else(missing)?;
        let limits = self.limits.checked()?;
        if let Some(small) = limits.iter().find(|named| named.limit.capacity() < self.batch) {
            let (name, capacity) = (&small.name, small.limit.capacity());
            let what = format!(
                "borrow_ahead({}) is more than limit `{name}` has at once, {capacity}",
                self.batch
            );
            return Err(LimitError::config(what));
        }
        let settings = Settings {
            refresh: self.refresh,
            batch: self.batch,
            believed: self.believed,
            on_store_down: self.down.checked()?,
        };
        Ok(Limiter::new(namespace, store, limits, settings))
    }
}
