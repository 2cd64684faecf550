//! So many at once.

use std::{fmt, time::Duration};

use larder_base::{CacheKey, Clock};

use crate::{
    blocking::{
        Store,
        face::{self, face, settings},
        lock::{Ended, Lost},
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
    /// Tells another thread when the place is not held any more. It may outlive the permit.
    pub fn lost(&self) -> Lost {
        let ended: Ended = Box::pin(self.on.lost());
        Lost::of(self.on.beside(ended), &self.clock)
    }

    /// Does `work` on this thread while the place is held, and says whether it was held until its end.
    ///
    /// A closure cannot be stopped from outside, as [a future is](crate::limit::Permit::run): it goes on when the place is
    /// lost, and another may be given it. So `work` should ask [`is_lost`](Self::is_lost) before each step.
    ///
    /// # Errors
    /// [`LimitError::Lost`]: it was not held at the beginning, and `work` did not begin; or not any more at the end, and what
    /// `work` gave is dropped. What it had done stays.
    #[track_caller]
    pub fn run<T>(&self, work: impl FnOnce(&Self) -> T) -> Result<T, LimitError> {
        self.check()?;
        let done = work(self);
        self.check().map(|()| done)
    }

    #[track_caller]
    fn check(&self) -> Result<(), LimitError> {
        match self.is_lost() {
            // The reason is there at once.
            true => Err(LimitError::Lost(self.on.wait(self.on.lost()))),
            false => Ok(()),
        }
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
