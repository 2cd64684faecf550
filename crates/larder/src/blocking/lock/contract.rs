//! What a lock is to its users.

use std::time::Duration;

use super::Guard;
use crate::{ToolKey, lock::LockError};

/// [`larder::lock::Lock`](crate::lock::Lock), blocking: something that grants, per key, one [`Guard`] at a time.
///
/// Code that only wants mutual exclusion takes an `Arc<dyn Lock<InvoiceId>>`.
///
/// Nothing is reentrant: a thread that asks again for what it holds waits for itself; hand the `&Guard` down instead.
pub trait Lock<K: ToolKey + ?Sized>: Send + Sync {
    /// Takes the lock on `key` if it is free now; `None` if another holds it.
    ///
    /// # Errors
    /// As [the async method](crate::lock::Lock::try_acquire).
    fn try_acquire(&self, key: &K) -> Result<Option<Guard>, LockError>;

    /// Takes the lock on `key`, waiting for at most `wait` while others hold it.
    ///
    /// # Errors
    /// As [the async method](crate::lock::Lock::acquire_within).
    fn acquire_within(&self, key: &K, wait: Duration) -> Result<Guard, LockError>;

    /// Takes the lock on `key`, waiting for at most as long as the lock was built with (`wait`).
    ///
    /// # Errors
    /// As [the async method](crate::lock::Lock::acquire).
    fn acquire(&self, key: &K) -> Result<Guard, LockError>;
}

/// The blocking form of an async lock: `self.as_async()` is that, and `self.granted` makes a guard of its guards.
macro_rules! locks {
    ($([$($generic:tt)*] $kind:ty),*) => {$(
        impl<K: $crate::ToolKey + ?Sized, $($generic)*> Lock<K> for $kind {
            #[track_caller]
            fn try_acquire(&self, key: &K) -> Result<Option<Guard>, LockError> {
                let guard = self.on.wait($crate::lock::Lock::try_acquire(self.as_async(), key))?;
                Ok(guard.map(|guard| self.granted(guard)))
            }

            #[track_caller]
            fn acquire_within(&self, key: &K, wait: Duration) -> Result<Guard, LockError> {
                let guard = self.on.wait($crate::lock::Lock::acquire_within(self.as_async(), key, wait))?;
                Ok(self.granted(guard))
            }

            #[track_caller]
            fn acquire(&self, key: &K) -> Result<Guard, LockError> {
                let guard = self.on.wait($crate::lock::Lock::acquire(self.as_async(), key))?;
                Ok(self.granted(guard))
            }
        }
    )*};
}
pub(super) use locks;
