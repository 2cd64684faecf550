//! Locks that are made of leases in a store.

use std::time::Duration;

use super::{Guard, Lock, LockBuilder, contract::locks};
use crate::{
    ToolKey,
    blocking::{face::face, waits},
    lock::{Fence, LockError, OwnerToken},
};

face! {
    /// [`larder::lock::StoreLock`](crate::lock::StoreLock), blocking: one holder per key. A cheap clone.
    ///
    /// ```
    /// use larder::blocking::{Store, lock::{Lock as _, StoreLock}};
    ///
    /// # fn main() -> Result<(), larder::BoxError> {
    /// let store = Store::open("embedded:")?;
    /// let invoices = StoreLock::builder("invoices").store(&store).build()?;
    /// let guard = invoices.acquire(&42)?;
    /// assert!(invoices.try_acquire(&42)?.is_none(), "one holder at a time");
    /// guard.release()?;
    /// assert!(invoices.try_acquire(&42)?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    StoreLock of crate::lock::StoreLock
}

face! {
    /// [`larder::lock::Semaphore`](crate::lock::Semaphore), blocking: so many holders per key. A cheap clone.
    ///
    /// ```
    /// use larder::blocking::{Store, lock::{Lock as _, Semaphore}};
    ///
    /// # fn main() -> Result<(), larder::BoxError> {
    /// let store = Store::open("embedded:")?;
    /// let exports = Semaphore::builder("exports", 2).store(&store).build()?;
    /// let (_first, _second) = (exports.acquire("eu")?, exports.acquire("eu")?);
    /// assert!(exports.try_acquire("eu")?.is_none(), "both permits are taken");
    /// # Ok(())
    /// # }
    /// ```
    Semaphore of crate::lock::Semaphore
}

face! {
    /// [`larder::lock::ReadWriteLock`](crate::lock::ReadWriteLock), blocking: many readers or one writer per key. A cheap clone.
    ///
    /// ```
    /// use larder::blocking::{Store, lock::{Lock as _, ReadWriteLock}};
    ///
    /// # fn main() -> Result<(), larder::BoxError> {
    /// let store = Store::open("embedded:")?;
    /// let sheets = ReadWriteLock::builder("sheets").store(&store).build()?;
    /// let (one, other) = (sheets.reading().acquire(&7)?, sheets.reading().acquire(&7)?);
    /// assert!(sheets.writing().try_acquire(&7)?.is_none(), "somebody reads");
    /// one.release()?;
    /// other.release()?;
    /// assert!(sheets.writing().acquire(&7)?.fence().is_some());
    /// # Ok(())
    /// # }
    /// ```
    ReadWriteLock of crate::lock::ReadWriteLock
}

face! {
    /// The readers' side of a [`ReadWriteLock`].
    Reading of crate::lock::Reading
}

face! {
    /// The writers' side of a [`ReadWriteLock`].
    Writing of crate::lock::Writing
}

impl StoreLock {
    /// Builds the locks of `namespace` (`[a-z0-9_.-]+`), such as all those on invoices.
    pub fn builder(namespace: impl Into<String>) -> LockBuilder<Self> {
        LockBuilder::of(crate::lock::StoreLock::builder(namespace))
    }

    /// Takes over the lock on `key` that another process [handed on](Guard::into_token).
    ///
    /// # Errors
    /// As [the async method](crate::lock::StoreLock::adopt).
    #[track_caller]
    pub fn adopt<K: ToolKey + ?Sized>(&self, key: &K, token: OwnerToken) -> Result<Guard, LockError> {
        let guard = self.on.wait(self.on.adopt(key, token))?;
        Ok(self.granted(guard))
    }

    waits! { "lock::StoreLock";
        /// Has every later grant on `key` come with a fence above `seen`, and says which is the highest now.
        fn raise_fence(&self, key: &(impl ToolKey + ?Sized), seen: Fence) -> Result<Fence, LockError>;
    }
}

impl Semaphore {
    /// Builds the semaphores of `namespace` (`[a-z0-9_.-]+`), of `permits` each; at least one.
    pub fn builder(namespace: impl Into<String>, permits: u32) -> LockBuilder<Self> {
        LockBuilder::of(crate::lock::Semaphore::builder(namespace, permits))
    }
}

impl ReadWriteLock {
    /// Builds the locks of `namespace` (`[a-z0-9_.-]+`).
    pub fn builder(namespace: impl Into<String>) -> LockBuilder<Self> {
        LockBuilder::of(crate::lock::ReadWriteLock::builder(namespace))
    }

    /// The lock of those who only read.
    #[must_use]
    pub fn reading(&self) -> Reading {
        Reading::wrap(self.on.reading().clone(), &self.store)
    }

    /// The lock of those who write.
    #[must_use]
    pub fn writing(&self) -> Writing {
        Writing::wrap(self.on.writing().clone(), &self.store)
    }
}

macro_rules! grant {
    ($($kind:ty),*) => {$(
        impl $kind {
            fn granted(&self, guard: crate::lock::Guard) -> Guard {
                Guard::of(self.on.beside(guard.into()), self.store.clock())
            }
        }
    )*};
}

grant!(StoreLock, Semaphore, Reading, Writing);
locks!([] StoreLock, [] Semaphore, [] Reading, [] Writing);
