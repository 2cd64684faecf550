//! Building a lock.

use std::{fmt, time::Duration};

use crate::{
    blocking::{
        Store,
        face::{self, Face, settings},
    },
    lock::LockError,
};

/// [`larder::lock::LockBuilder`](crate::lock::LockBuilder), blocking: the same settings and defaults.
#[must_use = "a builder does nothing before `build`"]
pub struct LockBuilder<T: Face> {
    builder: crate::lock::LockBuilder<T::Async>,
    store: Option<Store>,
}

impl<T: Face> fmt::Debug for LockBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.builder, f)
    }
}

impl<T: Face> LockBuilder<T> {
    pub(super) const fn of(builder: crate::lock::LockBuilder<T::Async>) -> Self {
        Self { builder, store: None }
    }

    /// Where it is kept and shared. Required.
    pub fn store(mut self, store: &Store) -> Self {
        self.builder = self.builder.store(store.as_async());
        self.store = Some(store.clone());
        self
    }

    settings! {
        "lock::LockBuilder";
        ttl(ttl: Duration);
        wait(wait: Duration);
        watchdog(watches: bool);
        grace(span: Duration);
    }

    /// Makes it. Nothing is asked of the store yet.
    ///
    /// # Errors
    /// As [the async method](crate::lock::LockBuilder::build).
    pub fn build(self) -> Result<T, LockError> {
        face::build(self.store, || self.builder.build())
    }
}
