//! Workers: the builder, and the handle.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use larder_base::Tasks;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::DropGuard;

use super::{
    JobContext, JobFailure, QueueError,
    core::Core,
    runner::{Runner, Tuning},
};

/// Jobs that one worker runs at once, at most: each may hold its payload.
const CONCURRENCY_MAX: usize = 1_000;

/// Makes a [`Worker`].
#[must_use]
pub struct WorkerBuilder<J, H> {
    core: Arc<Core>,
    handler: H,
    tuning: Tuning,
    job: PhantomData<fn(J)>,
}

impl<J, H> fmt::Debug for WorkerBuilder<J, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerBuilder")
            .field("tuning", &self.tuning)
            .finish_non_exhaustive()
    }
}

impl<J, H> WorkerBuilder<J, H> {
    pub(super) fn new(core: Arc<Core>, handler: H) -> Self {
        Self {
            core,
            handler,
            tuning: Tuning {
                concurrency: 1,
                poll: Duration::from_secs(1),
                job_timeout: None,
            },
            job: PhantomData,
        }
    }

    /// How many jobs this worker runs at once: 1 unless said, up to 1,000. It takes no more than it runs.
    pub fn concurrency(mut self, jobs: usize) -> Self {
        self.tuning.concurrency = jobs;
        self
    }

    /// How long an attempt may run; then it is dropped at its next await and has failed. As long as it wants unless said: the
    /// visibility timeout is renewed as long as the worker lives.
    pub fn job_timeout(mut self, timeout: Duration) -> Self {
        self.tuning.job_timeout = Some(timeout);
        self
    }

    /// How often an idle worker looks by itself, 1 s unless said; half of it to all, at random. It is told of new jobs and knows
    /// when delayed ones are due, so this is for words that were lost with a connection.
    pub fn poll(mut self, every: Duration) -> Self {
        self.tuning.poll = every;
        self
    }
}

impl<J, H, F> WorkerBuilder<J, H>
where
    J: Serialize + DeserializeOwned + Send + 'static,
    H: Fn(J, JobContext) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), JobFailure>> + Send + 'static,
{
    /// Starts the worker. It runs until it is stopped or dropped; while the store is away it tries again.
    ///
    /// # Errors
    /// [`QueueError::Config`] for a setting that cannot be meant.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn start(self) -> Result<Worker, QueueError> {
        let tuning = self.tuning;
        if !(1..=CONCURRENCY_MAX).contains(&tuning.concurrency) {
            let what = format!("`concurrency` is {}; say 1 to {CONCURRENCY_MAX}", tuning.concurrency);
            return Err(QueueError::config(what));
        }
        if tuning.poll.is_zero() || tuning.job_timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(QueueError::config("`poll` and `job_timeout` are more than zero"));
        }
        let tasks = Tasks::new();
        let (stop, stopping) = watch::channel(None);
        let runner = Runner::new(self.core, Arc::new(self.handler), tuning, tasks.clone(), stopping);
        let running = tasks.spawn("queue worker", runner.run());
        let end = tasks.stopping().drop_guard();
        Ok(Worker {
            stop,
            running,
            _end: end,
        })
    }
}

/// A running worker. [`stop`](Self::stop) ends it gracefully.
///
/// Dropped instead, it ends at once: its jobs are dropped where they are, and begin again elsewhere after the visibility timeout.
#[derive(Debug)]
#[must_use = "a worker that is dropped ends at once"]
pub struct Worker {
    stop: watch::Sender<Option<Duration>>,
    running: JoinHandle<Option<Stopped>>,
    /// Ends all of its tasks: that of the worker owns them too, so that it can start jobs.
    _end: DropGuard,
}

/// What a worker did when it was stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stopped {
    /// Jobs that ended in time, however they ended.
    pub finished: usize,
    /// Jobs that were dropped and given back: they wait for another worker, and the attempt does not count.
    pub given_back: usize,
    /// Jobs that the store was not told of, because it did not answer: they begin again after the visibility timeout.
    pub untold: usize,
}

impl Worker {
    /// Takes no more jobs, lets those that run go on for at most `deadline`, gives the rest back at once, and ends. It takes a few
    /// seconds more if the store does not answer.
    ///
    /// # Cancel safety
    /// The worker is dropped, and ends at once.
    pub async fn stop(self, deadline: Duration) -> Stopped {
        self.stop.send_replace(Some(deadline));
        self.running.await.ok().flatten().unwrap_or_default()
    }
}
