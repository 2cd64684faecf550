//! What a lock is to its users, and what a granted one is to the guard that keeps it.

use std::{fmt::Debug, future::Future, pin::Pin, time::Duration};

use super::{Guard, LockError, OwnerToken};
use crate::ToolKey;

/// A future of a lock, in a box, so that a lock may be a `dyn Lock`.
pub type LockFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, LockError>> + Send + 'a>>;

/// Something that grants, per key, one [`Guard`] at a time (a [`Semaphore`](super::Semaphore): so many at a time).
///
/// Code that only wants mutual exclusion takes an `Arc<dyn Lock<InvoiceId>>`, and does not know whether a store or a database
/// is behind it.
///
/// Who waits longest is not served first: waiting callers try again at random moments. Nothing is reentrant: a holder that
/// asks again waits for itself; hand the `&Guard` down instead.
///
/// # Cancel safety
/// Dropping any of these futures leaves nothing held longer than the lock's `ttl`; what was granted without being seen is given
/// back in the background.
pub trait Lock<K: ToolKey + ?Sized>: Send + Sync {
    /// Takes the lock on `key` if it is free now, in one round trip; `None` if another holds it.
    ///
    /// # Errors
    /// [`LockError::Store`] or [`LockError::Backend`]; [`LockError::TooSlow`].
    fn try_acquire<'a>(&'a self, key: &'a K) -> LockFuture<'a, Option<Guard>>;

    /// Takes the lock on `key`, waiting for at most `wait` while others hold it.
    ///
    /// # Errors
    /// [`LockError::Busy`] when the wait is over; else as [`try_acquire`](Self::try_acquire).
    fn acquire_within<'a>(&'a self, key: &'a K, wait: Duration) -> LockFuture<'a, Guard>;

    /// Takes the lock on `key`, waiting for at most as long as the lock was built with (`wait`).
    ///
    /// # Errors
    /// As [`acquire_within`](Self::acquire_within).
    fn acquire<'a>(&'a self, key: &'a K) -> LockFuture<'a, Guard>;
}

/// A lock that was granted, as its [`Guard`] deals with it: for those who implement [`Lock`] over something else.
pub trait Lease: Debug + Send + Sync + 'static {
    /// What is locked: one name for all who lock it, by which what is protected tells fences of different locks apart.
    fn resource(&self) -> &str;

    /// How long a grant or an extension is asked to last.
    fn ttl(&self) -> Duration;

    /// Asks for the whole `ttl` from now on. `Some` is what is left of it by the word of whoever granted it, `None`: not held.
    ///
    /// It may be called again after an error and while an earlier call may still run: both must be as good as one.
    ///
    /// # Errors
    /// [`LockError::Store`] or [`LockError::Backend`]: it is not known whether it is still held.
    fn extend(&self) -> LockFuture<'_, Option<Duration>>;

    /// Gives it back, if it is held.
    ///
    /// # Errors
    /// As [`extend`](Self::extend).
    fn release(&self) -> LockFuture<'_, Released>;

    /// What another process can take it over with, if it can.
    fn token(&self) -> Option<OwnerToken> {
        None
    }
}

/// What giving a lock back came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// It was held until now.
    Released,
    /// It was not held any more: it had run out, or the store lost it. What was done under it may have been done by two.
    NotHeld,
}

impl Released {
    /// Whether it was held until it was given back.
    #[must_use]
    pub const fn was_held(self) -> bool {
        matches!(self, Self::Released)
    }
}
