//! Looking after a queue: what is in it, dead letters, pause, removal.

use std::sync::Arc;

use larder_store::StoreError;
use serde::{Serialize, de::DeserializeOwned};

use super::{Counts, JobInfo, JobState, Queue, QueueError, core::text, options::check_name, script};
use crate::reply;

/// Jobs that one script removes or replays: a short turn for everybody else's commands.
const BATCH: i64 = 500;

/// The longest list that is read at once.
const LIST_MAX: usize = 1_000;

impl<J: Serialize + DeserializeOwned + Send + 'static> Queue<J> {
    /// How many jobs there are in each state, and how far the workers are behind. One round trip.
    ///
    /// # Errors
    /// [`QueueError::Store`], as everything here.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn counts(&self) -> Result<Counts, QueueError> {
        let reply = self.core.store.call(&self.core.begin(&script::COUNTS)).await?;
        Ok(Counts::read(&reply)?)
    }

    /// What is known of the job `id`; `None` if there is none of that id, or it was done and is not kept any more.
    ///
    /// # Errors
    /// [`QueueError::Store`]; [`QueueError::Config`] for what cannot be an id.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn job(&self, id: &str) -> Result<Option<JobInfo>, QueueError> {
        check_name("id", id)?;
        let mut read = redis::cmd("HGETALL");
        read.arg(format!("{}:job:{id}", self.core.stem));
        let fields = self.core.store.run(&read).await?;
        Ok(JobInfo::read(id.into(), &fields)?)
    }

    /// Jobs in one state, in the order in which they run or, of those that ended, ended; so many `after` the first ones, at most
    /// `limit` and 1,000. Parked ones cannot be listed.
    ///
    /// # Errors
    /// [`QueueError::Store`]; [`QueueError::Config`] for [`JobState::Parked`].
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn list(&self, state: JobState, after: usize, limit: usize) -> Result<Vec<JobInfo>, QueueError> {
        let part = match state {
            JobState::Waiting => "wait",
            JobState::Delayed => "later",
            JobState::Running => "run",
            JobState::Dead => "dead",
            JobState::Done => "done",
            JobState::Parked => {
                return Err(QueueError::config(
                    "parked jobs have no common order and cannot be listed; `job(id)` shows one",
                ));
            }
        };
        if limit == 0 {
            return Ok(Vec::new());
        }
        let call = self
            .core
            .begin(&script::LIST)
            .arg(part)
            .int(whole(after))
            .int(whole(limit.min(LIST_MAX)));
        let reply = self.core.store.call(&call).await?;
        let jobs = reply::items(&reply, 0, "queue_list")?.iter().map(|job| {
            let job = reply::items(job, 2, "queue_list")?;
            let id = text(&job[0]).ok_or_else(|| reply::unexpected("queue_list"))?;
            JobInfo::read(Arc::from(id), &job[1])
        });
        let jobs: Result<Vec<Option<JobInfo>>, StoreError> = jobs.collect();
        Ok(jobs?.into_iter().flatten().collect())
    }

    /// Dead jobs, the oldest first, as [`list`](Self::list) does.
    ///
    /// # Errors
    /// [`QueueError::Store`].
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn dead_letters(&self, after: usize, limit: usize) -> Result<Vec<JobInfo>, QueueError> {
        self.list(JobState::Dead, after, limit).await
    }

    /// Has the dead job `id` run again, with all its attempts and without its deadline; whether it was dead. In a group it goes
    /// behind those that wait.
    ///
    /// # Errors
    /// [`QueueError::Store`].
    ///
    /// # Cancel safety
    /// It may be replayed or not.
    pub async fn replay(&self, id: &str) -> Result<bool, QueueError> {
        let call = self.core.begin(&script::REPLAY).int(0).arg(id);
        Ok(self.core.number(&call).await? == 1)
    }

    /// [`replay`](Self::replay) for all that are dead now, 500 at a time; how many.
    ///
    /// # Errors
    /// [`QueueError::Store`]; some may have been replayed.
    ///
    /// # Cancel safety
    /// Some may have been replayed.
    pub async fn replay_all(&self) -> Result<u64, QueueError> {
        let mut left = whole(usize::try_from(self.counts().await?.dead).unwrap_or(usize::MAX));
        let mut replayed = 0;
        // Those that die again meanwhile are not replayed for ever.
        while left > 0 {
            let count = self
                .core
                .number(&self.core.begin(&script::REPLAY).int(left.min(BATCH)))
                .await?;
            if count == 0 {
                break;
            }
            (left, replayed) = (left - count, replayed + count.unsigned_abs());
        }
        Ok(replayed)
    }

    /// Removes the job `id` without a trace, whatever state it is in but running; whether it was removed. Its id is not known
    /// any more.
    ///
    /// # Errors
    /// [`QueueError::Store`].
    ///
    /// # Cancel safety
    /// It may be removed or not.
    pub async fn remove(&self, id: &str) -> Result<bool, QueueError> {
        Ok(self.core.number(&self.core.begin(&script::REMOVE).arg(id)).await? == 1)
    }

    /// Removes all jobs that wait, are delayed or parked, 500 at a time; how many. What is pushed meanwhile may go too. Running
    /// and dead ones stay.
    ///
    /// # Errors
    /// [`QueueError::Store`]; some may have been removed.
    ///
    /// # Cancel safety
    /// Some may have been removed.
    pub async fn purge(&self) -> Result<u64, QueueError> {
        self.purge_all("waiting").await
    }

    /// Removes all dead jobs, 500 at a time; how many.
    ///
    /// # Errors
    /// [`QueueError::Store`]; some may have been removed.
    ///
    /// # Cancel safety
    /// Some may have been removed.
    pub async fn purge_dead(&self) -> Result<u64, QueueError> {
        self.purge_all("dead").await
    }

    async fn purge_all(&self, what: &str) -> Result<u64, QueueError> {
        let mut removed = 0;
        loop {
            let count = self
                .core
                .number(&self.core.begin(&script::PURGE).arg(what).int(BATCH))
                .await?;
            removed += count.unsigned_abs();
            // Less than a batch: there were no more. Whoever pushes faster than this removes is not waited for.
            if count < BATCH {
                return Ok(removed);
            }
        }
    }

    /// Has no worker of any process take another job until [`resume`](Self::resume). What runs goes on, and pushes are accepted.
    /// Whether it was not paused already. It holds until somebody resumes, over restarts of every process.
    ///
    /// # Errors
    /// [`QueueError::Store`].
    ///
    /// # Cancel safety
    /// It may be paused or not.
    pub async fn pause(&self) -> Result<bool, QueueError> {
        Ok(self.core.number(&self.core.begin(&script::PAUSE).arg("pause")).await? == 1)
    }

    /// Ends a pause; whether there was one.
    ///
    /// # Errors
    /// [`QueueError::Store`].
    ///
    /// # Cancel safety
    /// It may be resumed or not.
    pub async fn resume(&self) -> Result<bool, QueueError> {
        Ok(self.core.number(&self.core.begin(&script::PAUSE).arg("resume")).await? == 1)
    }
}

fn whole(count: usize) -> i64 {
    // Positions of a sorted set stay below this.
    i64::try_from(count).unwrap_or(i64::MAX).min(1 << 52)
}
