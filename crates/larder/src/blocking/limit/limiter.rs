//! How often each subject may do something.

use std::time::Duration;

use larder_base::CacheKey;

use crate::{
    blocking::{
        Store,
        face::{self, face, settings},
        waits,
    },
    limit::{self, Decision, Limit, LimitError, Limits, OnStoreDown},
};

face! {
    /// [`larder::limit::Limiter`](crate::limit::Limiter), blocking. A cheap clone.
    ///
    /// See the [module](super) for an example.
    Limiter of crate::limit::Limiter
}

impl Limiter {
    /// Begins one in a namespace (`[a-z0-9_.-]+`): the name of what is limited, such as `api` or `logins`.
    pub fn builder(namespace: &str) -> LimiterBuilder {
        LimiterBuilder {
            builder: limit::Limiter::builder(namespace),
            store: None,
        }
    }

    waits! { "limit::Limiter";
        /// Whether `subject` may make one more call; it is charged 1 if so.
        fn check(&self, subject: &(impl ToOwned<Owned: CacheKey> + ?Sized)) -> Result<Decision, LimitError>;
        /// As [`check`](Self::check), for a call that costs `cost`, at least 1.
        fn check_cost(&self, subject: &(impl ToOwned<Owned: CacheKey> + ?Sized), cost: u64) -> Result<Decision, LimitError>;
        /// As [`check_cost`](Self::check_cost), for a call that may come more than once: it is charged once.
        fn check_once(
            &self,
            subject: &(impl ToOwned<Owned: CacheKey> + ?Sized),
            cost: u64,
            request: &str,
        ) -> Result<Decision, LimitError>;
        /// Waits until `subject` may make a call that costs `cost`, for `deadline` at most, and charges it.
        fn acquire(
            &self,
            subject: &(impl ToOwned<Owned: CacheKey> + ?Sized),
            cost: u64,
            deadline: Duration,
        ) -> Result<Decision, LimitError>;
        /// What a call that costs 1 would be told. Nothing is charged.
        fn peek(&self, subject: &(impl ToOwned<Owned: CacheKey> + ?Sized)) -> Result<Decision, LimitError>;
        /// Forgets what `subject` was charged.
        fn reset(&self, subject: &(impl ToOwned<Owned: CacheKey> + ?Sized)) -> Result<(), LimitError>;
        /// Replaces the limits of this namespace for every process; the new revision.
        fn reconfigure(&self, limits: Limits) -> Result<u64, LimitError>;
        /// As [`reconfigure`](Self::reconfigure), if the limits in force are still those of `revision`.
        fn reconfigure_from(&self, revision: u64, limits: Limits) -> Result<u64, LimitError>;
        /// Back to the limits of the program, in every process.
        fn restore(&self) -> Result<(), LimitError>;
        /// Asks the store which limits are in force, and goes by them.
        fn look(&self) -> Result<(u64, Limits), LimitError>;
    }

    /// The limits in force, as far as this process knows, with their revision: 0 for those of the program.
    #[must_use]
    pub fn limits(&self) -> (u64, Limits) {
        self.on.limits()
    }
}

/// [`larder::limit::LimiterBuilder`](crate::limit::LimiterBuilder), blocking: the same settings and defaults. It can be built
/// once [`on_store_down`](Self::on_store_down) has been said.
///
/// ```compile_fail
/// # use larder::{blocking::{Store, limit::Limiter}, limit::Gcra};
/// # fn build(store: &Store) {
/// let api = Limiter::builder("api").store(store).limit(Gcra::per_second(100)).build(); // no `on_store_down`
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct LimiterBuilder<Down = ()> {
    builder: limit::LimiterBuilder<Down>,
    store: Option<Store>,
}

impl<Down> LimiterBuilder<Down> {
    /// Where it is counted. Required.
    pub fn store(mut self, store: &Store) -> Self {
        self.builder = self.builder.store(store.as_async());
        self.store = Some(store.clone());
        self
    }

    settings! {
        "limit::LimiterBuilder";
        limit(limit: impl TryInto<Limit, Error: Into<LimitError>>);
        limit_as(name: &str, limit: impl TryInto<Limit, Error: Into<LimitError>>);
        limits(limits: Limits);
        refresh(every: Duration);
        borrow_ahead(permits: u64);
        remember_denials(up_to: Duration);
    }

    /// What becomes of calls while the store does not answer. Required; see
    /// [the async builder](crate::limit::LimiterBuilder::on_store_down).
    pub fn on_store_down(self, policy: OnStoreDown) -> LimiterBuilder<OnStoreDown> {
        LimiterBuilder {
            builder: self.builder.on_store_down(policy),
            store: self.store,
        }
    }
}

impl LimiterBuilder<OnStoreDown> {
    /// The limiter. Nothing is sent yet.
    ///
    /// # Errors
    /// As [the async method](crate::limit::LimiterBuilder::build).
    pub fn build(self) -> Result<Limiter, LimitError> {
        face::build(self.store, || self.builder.build())
    }
}
