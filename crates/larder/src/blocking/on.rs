//! An async thing and the runtime that it lives on.

use std::ops::Deref;

use super::Runtime;

/// `T` on its runtime: dropped there, for its end may start tasks, and before it.
pub(super) struct On<T> {
    inner: Option<T>,
    runtime: Runtime,
}

impl<T> On<T> {
    pub(super) const fn new(inner: T, runtime: Runtime) -> Self {
        Self {
            inner: Some(inner),
            runtime,
        }
    }

    pub(super) const fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Waits on this thread.
    #[track_caller]
    pub(super) fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Waits for what changes the thing.
    #[track_caller]
    pub(super) fn wait_mut<'a, F: Future>(&'a mut self, begin: impl FnOnce(&'a mut T) -> F) -> F::Output {
        let inner = self.inner.as_mut().expect("it is there until it is dropped");
        self.runtime.block_on(begin(inner))
    }

    pub(super) const fn inner_mut(&mut self) -> &mut T {
        self.inner.as_mut().expect("it is there until it is dropped")
    }

    /// Another thing on the same runtime.
    pub(super) fn beside<U>(&self, inner: U) -> On<U> {
        On::new(inner, self.runtime.clone())
    }

    /// The thing by itself, for a method that takes it.
    pub(super) fn take(mut self) -> (T, Runtime) {
        let inner = self.inner.take().expect("it is taken once");
        (inner, self.runtime.clone())
    }
}

impl<T: Clone> Clone for On<T> {
    fn clone(&self) -> Self {
        self.beside((**self).clone())
    }
}

impl<T> Deref for On<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.inner.as_ref().expect("it is there until it is dropped")
    }
}

impl<T> Drop for On<T> {
    fn drop(&mut self) {
        let inner = self.inner.take();
        self.runtime.inside(|| drop(inner));
    }
}
