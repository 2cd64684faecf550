//! The handle.

use std::{fmt, marker::PhantomData, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use super::{JobContext, JobFailure, JobOptions, Pushed, QueueBuilder, QueueError, WorkerBuilder, core::Core};

/// A queue of jobs of type `J`, which all processes that build it share. A cheap clone. See the [module](super).
pub struct Queue<J> {
    pub(super) core: Arc<Core>,
    job: PhantomData<fn(J) -> J>,
}

impl<J> Clone for Queue<J> {
    fn clone(&self) -> Self {
        Self {
            core: self.core.clone(),
            job: PhantomData,
        }
    }
}

impl<J> fmt::Debug for Queue<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Queue").field(self.core.name.text()).finish()
    }
}

impl<J: Serialize + DeserializeOwned + Send + 'static> Queue<J> {
    /// Begins the queue named `namespace`: `[a-z0-9_.-]+`.
    pub fn builder(namespace: &str) -> QueueBuilder<J> {
        QueueBuilder::new(namespace)
    }

    pub(super) fn of(core: Arc<Core>) -> Self {
        Self { core, job: PhantomData }
    }

    /// The name that it was built with.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.core.name.text()
    }

    /// Pushes `job`, which can run at once. One round trip.
    ///
    /// # Errors
    /// [`QueueError::Full`], [`QueueError::Payload`]; [`QueueError::Push`] if the store failed: it names the id, under which the
    /// push can be repeated.
    ///
    /// # Cancel safety
    /// The job may be pushed or not.
    pub async fn push(&self, job: &J) -> Result<Pushed, QueueError> {
        self.core.push(job, &JobOptions::default()).await
    }

    /// Pushes `job` with [options](JobOptions). One round trip.
    ///
    /// # Errors
    /// As [`push`](Self::push); [`QueueError::Config`] for an option that cannot be meant.
    ///
    /// # Cancel safety
    /// As [`push`](Self::push).
    pub async fn push_with(
        &self,
        job: &J,
        options: impl FnOnce(JobOptions) -> JobOptions,
    ) -> Result<Pushed, QueueError> {
        let options = options(JobOptions::default());
        self.core.push(job, &options).await
    }

    /// Pushes `jobs` in pipelines of 256, each with its own outcome, in their order. They are not pushed as one: some may be
    /// there while others were refused.
    ///
    /// # Cancel safety
    /// Some may be pushed.
    pub async fn push_many<'a>(&self, jobs: impl IntoIterator<Item = &'a J> + Send) -> Vec<Result<Pushed, QueueError>>
    where
        J: 'a,
    {
        self.push_many_with(jobs, |_, options| options).await
    }

    /// [`push_many`](Self::push_many) with options for each job.
    ///
    /// # Cancel safety
    /// As [`push_many`](Self::push_many).
    pub async fn push_many_with<'a>(
        &self,
        jobs: impl IntoIterator<Item = &'a J> + Send,
        mut options: impl FnMut(&J, JobOptions) -> JobOptions + Send,
    ) -> Vec<Result<Pushed, QueueError>>
    where
        J: 'a,
    {
        let prepare = |job: &J| self.core.prepare(job, &options(job, JobOptions::default()));
        let requests: Vec<_> = jobs.into_iter().map(prepare).collect();
        self.core.push_all(requests).await
    }

    /// Begins a worker that runs `handler` for each job. It starts with [`WorkerBuilder::start`].
    ///
    /// `Ok` of the handler means done. An error is tried again with backoff until the attempts are used up; see
    /// [`JobFailure`] for more. A handler that panics has failed likewise. When the attempt is lost to another worker, or past
    /// its deadline, the future is dropped at its next await.
    pub fn worker<H, F>(&self, handler: H) -> WorkerBuilder<J, H>
    where
        H: Fn(J, JobContext) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), JobFailure>> + Send + 'static,
    {
        WorkerBuilder::new(self.core.clone(), handler)
    }
}
