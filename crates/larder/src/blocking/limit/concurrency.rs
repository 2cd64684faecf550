//! So many at once.

use std::{fmt, time::Duration};

use larder_base::{CacheKey, Clock};

use crate::{
    blocking::{
        Store,
        face::{self, face, settings},
        on::On,
    },
    limit::{self, Decision, LimitError, OnStoreDown},
};

face! {
    /// [`larder::limit::ConcurrencyLimit`](crate::limit::ConcurrencyLimit), blocking. A cheap clone.
    ///
    /// ```
    /// use larder::{blocking::{Store, limit::{ConcurrencyLimit, Entry}}, limit::OnStoreDown};
    ///
    /// # fn main() -> Result<(), larder::BoxError> {
    /// # let store = Store::open("embedded:")?;
    /// let exports = ConcurrencyLimit::builder("exports")
    ///     .store(&store)
    ///     .limit(1)
    ///     .on_store_down(OnStoreDown::Closed)
    ///     .build()?;
    /// let Entry::Admitted(permit) = exports.enter("ada")? else { panic!("nobody else exports") };
    /// assert!(matches!(exports.enter("ada")?, Entry::Full(_)));
    /// assert!(permit.release());
    /// assert!(matches!(exports.enter("ada")?, Entry::Admitted(_)));
    /// # Ok(())
    /// # }
    /// ```
    ConcurrencyLimit of crate::limit::ConcurrencyLimit
}

impl ConcurrencyLimit {
    /// Begins one in a namespace (`[a-z0-9_.-]+`), such as `exports`.
    pub fn builder(namespace: &str) -> ConcurrencyBuilder {
        ConcurrencyBuilder {
            builder: limit::ConcurrencyLimit::builder(namespace),
            store: None,
        }
    }

    /// Takes a place of `subject`, if there is one.
    ///
    /// # Errors
    /// As [the async method](crate::limit::ConcurrencyLimit::enter).
    #[track_caller]
    pub fn enter<S>(&self, subject: &S) -> Result<Entry, LimitError>
    where
        S: ToOwned<Owned: CacheKey> + ?Sized,
    {
        let entry = self.on.wait(self.on.enter(subject))?;
        Ok(match entry {
            limit::Entry::Full(decision) => Entry::Full(decision),
            limit::Entry::Admitted(permit) => Entry::Admitted(Permit {
                on: self.on.beside(permit),
                clock: self.store.clock().clone(),
            }),
        })
    }
}

/// What came of asking to enter.
#[derive(Debug)]
#[must_use = "a permit that is dropped is given back"]
pub enum Entry {
    /// There was room: it is taken until the permit is dropped.
    Admitted(Permit),
    /// There is none; see [the async face's](crate::limit::Entry::Full).
    Full(Decision),
}

/// A place taken from a [`ConcurrencyLimit`], renewed by the runtime's threads, and given back in the background when it is
/// dropped.
pub struct Permit {
    on: On<limit::Permit>,
    clock: Clock,
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.on, f)
    }
}

impl Permit {
    /// Waits until the place is lost; see [the async method](crate::limit::Permit::lost).
    #[track_caller]
    pub fn lost(&self) {
        self.on.wait(self.on.lost());
    }

    /// As [`lost`](Self::lost), for at most `limit`: whether it is lost.
    #[must_use]
    #[track_caller]
    pub fn lost_within(&self, limit: Duration) -> bool {
        self.on.wait(self.clock.timeout(limit, self.on.lost())).is_some()
    }

    /// Whether the place is lost. It never waits.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.on.is_lost()
    }

    /// Gives the place back and waits until it is; see [the async method](crate::limit::Permit::release).
    #[track_caller]
    pub fn release(self) -> bool {
        let (permit, runtime) = self.on.take();
        runtime.block_on(permit.release())
    }
}

/// [`larder::limit::ConcurrencyBuilder`](crate::limit::ConcurrencyBuilder), blocking: the same settings and defaults.
#[derive(Clone, Debug)]
#[must_use]
pub struct ConcurrencyBuilder<Down = ()> {
    builder: limit::ConcurrencyBuilder<Down>,
    store: Option<Store>,
}

impl<Down> ConcurrencyBuilder<Down> {
    /// Where it is counted. Required.
    pub fn store(mut self, store: &Store) -> Self {
        self.builder = self.builder.store(store.as_async());
        self.store = Some(store.clone());
        self
    }

    settings! {
        "limit::ConcurrencyBuilder";
        limit(limit: u64);
        lease(lease: Duration);
    }

    /// What becomes of callers while the store does not answer. Required; see
    /// [the async builder](crate::limit::ConcurrencyBuilder::on_store_down).
    pub fn on_store_down(self, policy: OnStoreDown) -> ConcurrencyBuilder<OnStoreDown> {
        ConcurrencyBuilder {
            builder: self.builder.on_store_down(policy),
            store: self.store,
        }
    }
}

impl ConcurrencyBuilder<OnStoreDown> {
    /// The limit. Nothing is sent yet.
    ///
    /// # Errors
    /// As [the async method](crate::limit::ConcurrencyBuilder::build).
    pub fn build(self) -> Result<ConcurrencyLimit, LimitError> {
        face::build(self.store, || self.builder.build())
    }
}
