//! Background work with an owner: every task has a name, a stop signal and someone who awaits it.

use std::{future::Future, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use crate::Clock;

/// The tasks of one owner. Dropping the last clone tells them to stop; [`shutdown`](Self::shutdown) also waits.
#[derive(Clone, Debug)]
pub struct Tasks {
    inner: std::sync::Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl Tasks {
    /// No tasks yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            inner: std::sync::Arc::new(Inner::default()),
        }
    }

    /// Starts `work` under `name`. It is dropped at its next await when this owner stops.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn spawn<F>(&self, name: &'static str, work: F) -> tokio::task::JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let stop = self.inner.stop.clone();
        let span = tracing::debug_span!("task", name);
        let future = async move { stop.run_until_cancelled_owned(work).await };
        self.inner.tracker.spawn(future.instrument(span))
    }

    /// Runs `work`, which blocks, on a thread that may. It has begun or will, and then runs to its end, whoever stops: it
    /// has to be short, and is awaited by [`shutdown`](Self::shutdown) as a task is.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn spawn_blocking<F, T>(&self, work: F) -> tokio::task::JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.inner.tracker.spawn_blocking(work)
    }

    /// The signal that work which must end tidily listens to by itself.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.inner.stop.clone()
    }

    /// How many tasks are running.
    #[must_use]
    pub fn running(&self) -> usize {
        self.inner.tracker.len()
    }

    /// Waits for at most `deadline` until every task has ended by itself; `false` if some were still running then.
    ///
    /// # Cancel safety
    /// Only the wait is lost.
    pub async fn finish(&self, clock: &Clock, deadline: Duration) -> bool {
        self.inner.tracker.close();
        clock.timeout(deadline, self.inner.tracker.wait()).await.is_some()
    }

    /// Tells every task to stop and waits for at most `deadline`; `false` if some were still running then.
    ///
    /// # Cancel safety
    /// The stop signal has been given at the first poll; only the wait is lost.
    pub async fn shutdown(&self, clock: &Clock, deadline: Duration) -> bool {
        self.inner.tracker.close();
        self.inner.stop.cancel();
        clock.timeout(deadline, self.inner.tracker.wait()).await.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_end_with_their_owner() {
        let tasks = Tasks::new();
        let endless = tasks.spawn("endless", std::future::pending::<()>());
        assert_eq!(tasks.running(), 1);
        drop(tasks);
        assert_eq!(endless.await.expect("no panic"), None);
    }
}
