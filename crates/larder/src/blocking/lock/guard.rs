//! A lock that is held.

use std::{fmt, ops::Deref, time::Duration};

use larder_base::{Clock, KeyLabel};

use super::{Lost, lost::Ended};
use crate::{
    blocking::{on::On, waits},
    lock::{self, Fence, LockError, OwnerToken, Released},
};

/// [`larder::lock::Guard`](crate::lock::Guard), blocking: a lock that is held until it is [released](Self::release), dropped or
/// lost. The runtime's threads renew it.
///
/// Dropping it gives it back in the background, also where a panic unwinds its thread. A program that ends right after that
/// may leave it to run out by itself: [`release`](Self::release) waits.
#[must_use = "dropping it gives the lock back"]
pub struct Guard {
    on: On<Held>,
    clock: Clock,
}

/// What holds it: a leader's guard stays with its term.
pub(super) enum Held {
    Guard(lock::Guard),
    Term(lock::Leadership),
}

impl From<lock::Guard> for Held {
    fn from(guard: lock::Guard) -> Self {
        Self::Guard(guard)
    }
}

impl Deref for Held {
    type Target = lock::Guard;

    fn deref(&self) -> &lock::Guard {
        match self {
            Self::Guard(guard) => guard,
            Self::Term(term) => term,
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self.on, f)
    }
}

impl Guard {
    pub(super) fn of(on: On<Held>, clock: &Clock) -> Self {
        let clock = clock.clone();
        Self { on, clock }
    }

    /// The number of this holder, greater than those of all before; `None` of what is not exclusive.
    #[must_use]
    pub fn fence(&self) -> Option<Fence> {
        self.on.fence()
    }

    /// What is locked, the same for all who lock it, such as `lock:{invoices:42}`.
    #[must_use]
    pub fn resource(&self) -> &str {
        self.on.resource()
    }

    /// How what is locked shows in errors.
    #[must_use]
    pub fn label(&self) -> &KeyLabel {
        self.on.label()
    }

    /// Whether it is held. Call it before each step that it protects; it never waits.
    ///
    /// # Errors
    /// As [the async face's](crate::lock::Guard::check).
    pub fn check(&self) -> Result<(), LockError> {
        self.on.check()
    }

    /// For how long it is certainly held, if it is not renewed; zero once it is lost.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.on.remaining()
    }

    /// Tells another thread when it is not held any more. It may outlive the guard.
    pub fn lost(&self) -> Lost {
        let ended: Ended = Box::pin(self.on.lost());
        Lost::of(self.on.beside(ended), &self.clock)
    }

    /// Does `work` on this thread while the lock is held, and says whether it was held until its end.
    ///
    /// A closure cannot be stopped from outside, as [a future is](crate::lock::Guard::run): it goes on when the lock is lost,
    /// and another may be granted it. So `work` should [`check`](Self::check) the guard that it is handed before each step, or
    /// carry its [`fence`](Self::fence).
    ///
    /// # Errors
    /// [`LockError::Lost`]: it was not held at the beginning, and `work` did not begin; or not any more at the end, and what
    /// `work` gave is dropped. What it had done stays.
    pub fn run<T>(&self, work: impl FnOnce(&Self) -> T) -> Result<T, LockError> {
        self.check()?;
        let done = work(self);
        self.check().map(|()| done)
    }

    waits! { "lock::Guard";
        /// Asks for the whole `ttl` from now on, as the watchdog does by itself.
        fn extend(&self) -> Result<(), LockError>;
    }

    /// Gives the lock back, and says whether it was held until then.
    ///
    /// # Errors
    /// As [the async method](crate::lock::Guard::release).
    #[track_caller]
    pub fn release(self) -> Result<Released, LockError> {
        let (held, runtime) = self.on.take();
        runtime.block_on(async {
            match held {
                Held::Guard(guard) => guard.release().await,
                Held::Term(term) => term.resign().await,
            }
        })
    }

    /// Hands the lock on: whoever [adopts](super::StoreLock::adopt) the token within what [remains](Self::remaining) has it.
    ///
    /// # Errors
    /// The guard itself, if its kind of lock cannot be handed on.
    pub fn into_token(self) -> Result<OwnerToken, Self> {
        let (held, runtime) = self.on.take();
        let handed_on = match held {
            Held::Guard(guard) => runtime.inside(|| guard.into_token()).map_err(Held::Guard),
            Held::Term(term) => Err(Held::Term(term)),
        };
        handed_on.map_err(|held| Self::of(On::new(held, runtime), &self.clock))
    }
}
