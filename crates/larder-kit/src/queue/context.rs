//! What a handler knows of its attempt.

use std::{sync::Arc, time::Duration};

use super::{QueueError, core::Core, held::Held};

/// The attempt that a handler is running. A cheap clone.
///
/// For an effect exactly once, record [`id`](Self::id) with it, in one transaction (`INSERT INTO done_jobs (id) ..`, with the
/// id as primary key): a second attempt finds it there.
#[derive(Clone, Debug)]
pub struct JobContext {
    pub(super) core: Arc<Core>,
    pub(super) held: Arc<Held>,
    pub(super) deadline: Option<Duration>,
}

impl JobContext {
    /// The job's id, the same in all attempts.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.held.id
    }

    /// Which attempt this is, from 1. Attempts whose worker died count, those that were given back do not.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.held.attempt
    }

    /// How many attempts the job has.
    #[must_use]
    pub fn attempts_max(&self) -> u32 {
        self.held.attempts_max
    }

    /// The group that the job is in.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.held.group.as_deref()
    }

    /// What is left until the job's deadline; `None` if it has none.
    #[must_use]
    pub fn deadline_in(&self) -> Option<Duration> {
        self.deadline
            .map(|deadline| deadline.saturating_sub(self.core.clock().monotonic()))
    }

    /// Whether the attempt is not this worker's any more.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.held.lost.is_cancelled()
    }

    /// Waits until the attempt is not this worker's any more: it was taken over, or could not be renewed in time. The handler is
    /// dropped then anyway; this is for work that it started elsewhere.
    ///
    /// # Cancel safety
    /// Only the wait is lost.
    pub async fn lost(&self) {
        self.held.lost.cancelled().await;
    }

    /// Renews the visibility timeout now. A worker does it by itself, each third of it; this is for code that blocked its
    /// runtime for long, before an effect that must not be another's. One round trip.
    ///
    /// # Errors
    /// [`QueueError::Overtaken`] if the attempt is not this worker's any more; [`QueueError::Store`].
    ///
    /// # Cancel safety
    /// It may be renewed or not.
    pub async fn heartbeat(&self) -> Result<(), QueueError> {
        self.beat(None).await
    }

    /// Says how far the job is, from 0 to 1, for [`Queue::job`](super::Queue::job) to show; a sign of life, too. One round trip.
    ///
    /// # Errors
    /// As [`heartbeat`](Self::heartbeat).
    ///
    /// # Cancel safety
    /// It may be told or not.
    pub async fn progress(&self, share: f64) -> Result<(), QueueError> {
        self.beat(Some(if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }))
            .await
    }

    async fn beat(&self, progress: Option<f64>) -> Result<(), QueueError> {
        self.core.beat(std::slice::from_ref(&self.held), progress).await?;
        if self.is_lost() {
            return Err(QueueError::Overtaken {
                id: self.held.id.clone(),
            });
        }
        Ok(())
    }
}
