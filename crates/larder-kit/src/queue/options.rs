//! What may be said of a job beside what it is.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{QueueError, core::millis};

/// The most attempts of a job: what failed so often fails for ever.
pub(super) const ATTEMPTS_MAX: u32 = 1_000;

/// The longest id, and the longest group, in bytes: they are in the names of keys.
pub(super) const NAME_MAX: usize = 200;

/// Options of one job.
///
/// ```
/// # use std::time::Duration;
/// # use larder_kit::queue::{Queue, QueueError};
/// # async fn push(orders: &Queue<String>) -> Result<(), QueueError> {
/// let pushed = orders
///     .push_with(&"pack".to_owned(), |o| {
///         o.id("order-7").group("user-3").delay(Duration::from_secs(60)).priority(5).attempts(10)
///     })
///     .await?;
/// assert!(pushed.is_new);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct JobOptions {
    pub(super) id: Option<Arc<str>>,
    pub(super) delay: Duration,
    at: Option<SystemTime>,
    pub(super) priority: i8,
    pub(super) group: Option<Arc<str>>,
    pub(super) deadline: Option<Duration>,
    pub(super) attempts: Option<u32>,
}

impl JobOptions {
    /// The job's id: one that is there, or was done and is still kept, is the same job, and is not pushed again. Drawn at random
    /// unless said. 1 to 200 bytes without control characters.
    pub fn id(mut self, id: impl Into<Arc<str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Not before this much has passed on the store's clock. None unless said.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Not before the store's clock shows this. With [`delay`](Self::delay) the later of the two holds.
    pub fn at(mut self, time: SystemTime) -> Self {
        self.at = Some(time);
        self
    }

    /// Higher goes first; 0 unless said. Equal ones go in the order in which they could run.
    pub fn priority(mut self, priority: i8) -> Self {
        self.priority = priority;
        self
    }

    /// Jobs of one group run one at a time, in the order in which they were pushed; one that is delayed, or tried again, holds up
    /// those behind it. 1 to 200 bytes without control characters. None unless said.
    pub fn group(mut self, group: impl Into<Arc<str>>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// By when the job has to be done, counted from the push. What has not begun by then is dead; what is running then is
    /// dropped, and dead. None unless said.
    pub fn deadline(mut self, within: Duration) -> Self {
        self.deadline = Some(within);
        self
    }

    /// How many attempts it has, 1 to 1,000; those of the queue unless said.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts);
        self
    }

    pub(super) fn check(&self) -> Result<(), QueueError> {
        if let Some(id) = &self.id {
            check_name("id", id)?;
        }
        if let Some(group) = &self.group {
            check_name("group", group)?;
        }
        match (self.attempts, self.deadline) {
            (Some(attempts), _) if !(1..=ATTEMPTS_MAX).contains(&attempts) => Err(QueueError::config(format!(
                "a job has {attempts} attempts; say 1 to {ATTEMPTS_MAX}"
            ))),
            (_, Some(Duration::ZERO)) => Err(QueueError::config("a deadline of 0 has passed; leave the job out")),
            _ => Ok(()),
        }
    }

    /// In ms since 1970; 0 where nothing was said.
    pub(super) fn at_ms(&self) -> i64 {
        let since = self.at.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        since.map_or(0, millis)
    }
}

/// Refuses what cannot be part of a key.
pub(super) fn check_name(what: &str, name: &str) -> Result<(), QueueError> {
    if (1..=NAME_MAX).contains(&name.len()) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(QueueError::config(format!(
        "the {what} of a job has {} bytes or control characters; use 1 to {NAME_MAX} bytes of text",
        name.len()
    )))
}
