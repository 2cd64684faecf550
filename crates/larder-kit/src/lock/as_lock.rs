//! What is a lock because it is made of leases in a store.

use std::time::Duration;

use super::{Guard, Lock, LockFuture, Reading, Semaphore, StoreLock, Writing};
use crate::ToolKey;

macro_rules! locks {
    ($($kind:ty),*) => {$(
        impl<K: ToolKey + ?Sized> Lock<K> for $kind {
            fn try_acquire<'a>(&'a self, key: &'a K) -> LockFuture<'a, Option<Guard>> {
                let place = self.0.place(key);
                Box::pin(self.0.try_acquire(place))
            }

            fn acquire_within<'a>(&'a self, key: &'a K, wait: Duration) -> LockFuture<'a, Guard> {
                let place = self.0.place(key);
                Box::pin(self.0.acquire_within(place, wait))
            }

            fn acquire<'a>(&'a self, key: &'a K) -> LockFuture<'a, Guard> {
                self.acquire_within(key, self.0.wait())
            }
        }
    )*};
}

locks!(StoreLock, Semaphore, Reading, Writing);
