//! Jobs that come again and again, one for each tick however many processes there are.

use std::{str::FromStr as _, time::Duration};

use chrono::{DateTime, Utc};
use croner::Cron;
use larder_store::StoreError;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Queue, QueueError,
    core::{Core, millis},
    figures::Count,
    options::{ATTEMPTS_MAX, check_name},
    push::verdict,
    script,
};

/// Schedules of one queue: each is looked at by workers again and again.
const SCHEDULES_MAX: i64 = 1_000;

/// The shortest interval: faster than this a loop does it better.
const EVERY_MIN: Duration = Duration::from_millis(100);

/// When a job comes again, and as what.
///
/// ```
/// # use std::time::Duration;
/// # use larder_kit::queue::{Queue, QueueError, Schedule};
/// # async fn set(reports: &Queue<String>) -> Result<(), QueueError> {
/// reports.schedule("nightly", Schedule::cron("0 3 * * *"), &"yesterday".to_owned()).await?;
/// reports.schedule("pulse", Schedule::every(Duration::from_secs(60)), &"minute".to_owned()).await?;
/// # Ok(())
/// # }
/// ```
///
/// Ticks are those of the store's clock, in UTC. A tick makes one job, with the id `<name>@<unix ms>`. While no worker runs,
/// no ticks are made; for all that were missed there is one, when a worker is back. A tick into a queue that is full is
/// passed over, and counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Schedule {
    when: When,
    #[serde(default)]
    priority: i8,
    #[serde(default)]
    group: String,
    attempts: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum When {
    /// Multiples of so many ms since 1970.
    Every(u64),
    Cron(String),
}

impl Schedule {
    /// Every `interval`, at multiples of it since 1970-01-01 UTC: every hour means on the hour. At least 100 ms.
    pub fn every(interval: Duration) -> Self {
        Self::of(When::Every(millis(interval).unsigned_abs()))
    }

    /// At the times of a cron expression, in UTC: minute, hour, day of the month, month, day of the week, with a field for
    /// seconds before them if wanted. `*/5 * * * *`, `0 9 * * MON-FRI`, `0 0 L * *`, `@daily`.
    pub fn cron(expression: &str) -> Self {
        Self::of(When::Cron(expression.to_owned()))
    }

    const fn of(when: When) -> Self {
        Self {
            when,
            priority: 0,
            group: String::new(),
            attempts: None,
        }
    }

    /// The priority of its jobs; 0 unless said.
    pub fn priority(mut self, priority: i8) -> Self {
        self.priority = priority;
        self
    }

    /// The group of its jobs, so that one tick's job waits for the last one's. None unless said.
    pub fn group(mut self, group: &str) -> Self {
        group.clone_into(&mut self.group);
        self
    }

    /// How many attempts its jobs have; those of the queue unless said.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// The first tick after `now`, both in ms since 1970.
    fn next(&self, now: u64) -> Result<u64, QueueError> {
        match &self.when {
            When::Every(ms) if u128::from(*ms) < EVERY_MIN.as_millis() => Err(QueueError::config(format!(
                "a schedule repeats every {ms} ms; say at least {EVERY_MIN:?}"
            ))),
            When::Every(ms) => Ok((now / ms + 1).saturating_mul(*ms)),
            When::Cron(expression) => next_of(expression, now).map_err(|why| {
                QueueError::config(format!("the cron expression `{expression}` has no next time: {why}"))
            }),
        }
    }

    fn check(&self) -> Result<(), QueueError> {
        if !self.group.is_empty() {
            check_name("group", &self.group)?;
        }
        match self.attempts {
            Some(attempts) if !(1..=ATTEMPTS_MAX).contains(&attempts) => Err(QueueError::config(format!(
                "a schedule's jobs have {attempts} attempts; say 1 to {ATTEMPTS_MAX}"
            ))),
            _ => Ok(()),
        }
    }
}

fn next_of(expression: &str, now: u64) -> Result<u64, String> {
    let cron = Cron::from_str(expression).map_err(|error| error.to_string())?;
    let now: DateTime<Utc> = i64::try_from(now)
        .ok()
        .and_then(DateTime::from_timestamp_millis)
        .ok_or("the store's clock shows a time that no calendar has")?;
    let next = cron
        .find_next_occurrence(&now, false)
        .map_err(|error| error.to_string())?;
    Ok(next.timestamp_millis().unsigned_abs())
}

/// A tick that is due.
#[derive(Clone, Debug)]
pub(super) struct Tick {
    pub(super) name: String,
    pub(super) due_ms: u64,
    pub(super) spec: String,
}

impl<J: Serialize + DeserializeOwned + Send + 'static> Queue<J> {
    /// Has `job` pushed again and again, by the workers of the queue. The same schedule under the same name once more changes
    /// nothing, so that every process may say it at its start; another one replaces it. Two round trips.
    ///
    /// # Errors
    /// [`QueueError::Config`] for a schedule that cannot be meant, or the thousand-and-first; [`QueueError::Payload`];
    /// [`QueueError::Store`].
    ///
    /// # Cancel safety
    /// It may be set or not.
    pub async fn schedule(&self, name: &str, schedule: Schedule, job: &J) -> Result<(), QueueError> {
        check_name("schedule", name)?;
        schedule.check()?;
        let payload = self.core.encode(job)?;
        let first = schedule.next(self.core.now_ms().await?)?;
        let spec = serde_json::to_string(&schedule).map_err(|error| QueueError::config(error.to_string()))?;
        let call = self.core.begin(&script::SCHEDULE).arg(name).arg(spec).arg(payload);
        let call = call.int(i64::try_from(first).unwrap_or(i64::MAX)).int(SCHEDULES_MAX);
        match self.core.number(&call).await? {
            -1 => Err(QueueError::config(format!(
                "queue `{}` has {SCHEDULES_MAX} schedules; remove some with `unschedule`",
                self.namespace()
            ))),
            _ => Ok(()),
        }
    }

    /// Ends the schedule `name`; whether there was one. Jobs that it made stay.
    ///
    /// # Errors
    /// [`QueueError::Store`].
    ///
    /// # Cancel safety
    /// It may be ended or not.
    pub async fn unschedule(&self, name: &str) -> Result<bool, QueueError> {
        Ok(self
            .core
            .number(&self.core.begin(&script::UNSCHEDULE).arg(name))
            .await?
            == 1)
    }
}

impl Core {
    /// The store's clock, in ms since 1970.
    async fn now_ms(&self) -> Result<u64, StoreError> {
        let reply = self.store.run(&redis::cmd("TIME")).await?;
        let (seconds, micros): (u64, u64) = redis::from_redis_value_ref(&reply).map_err(redis::RedisError::from)?;
        Ok(seconds * 1_000 + micros / 1_000)
    }

    /// Makes the job of `tick`, unless another worker does. The next one is after `now_ms`, which the store said.
    pub(super) async fn tick(&self, tick: &Tick, now_ms: u64) -> Result<(), QueueError> {
        let read = serde_json::from_str::<Schedule>(&tick.spec);
        let schedule = read.map_err(|error| QueueError::config(format!("schedule `{}`: {error}", tick.name)))?;
        let number = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        let call = self
            .begin(&script::TICK)
            .arg(&tick.name)
            .int(number(tick.due_ms))
            .arg(&tick.spec)
            .int(number(schedule.next(now_ms)?))
            .int(i64::from(schedule.priority))
            .arg(&schedule.group)
            .int(i64::from(schedule.attempts.unwrap_or(self.settings.attempts)))
            .arg(self.nonce())
            .int(number(self.settings.capacity));
        match verdict(&self.store.call(&call).await?, "queue_tick")?.0 {
            1 => self.count(Count::TickMade),
            -1 => {
                self.count(Count::TickSkipped);
                tracing::warn!(
                    queue = &**self.name.text(),
                    schedule = tick.name,
                    "the queue is full: a tick was passed over"
                );
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01 00:00 UTC, a Thursday.
    const NEW_YEAR: u64 = 1_767_225_600_000;
    const HOUR: u64 = 3_600_000;

    #[test]
    fn intervals_are_aligned_and_strictly_after_now() {
        let hourly = Schedule::every(Duration::from_secs(3_600));
        assert_eq!(hourly.next(NEW_YEAR).unwrap(), NEW_YEAR + HOUR);
        assert_eq!(hourly.next(NEW_YEAR + 1).unwrap(), NEW_YEAR + HOUR);
        assert!(
            Schedule::every(Duration::from_millis(99))
                .next(NEW_YEAR)
                .unwrap_err()
                .is_config()
        );
    }

    #[test]
    fn cron_is_read_as_everywhere_and_in_utc() {
        let next = |expression: &str| Schedule::cron(expression).next(NEW_YEAR).unwrap();
        assert_eq!(next("0 3 * * *"), NEW_YEAR + 3 * HOUR);
        assert_eq!(next("0 0 * * *"), NEW_YEAR + 24 * HOUR);
        assert_eq!(next("0 9 * * MON-FRI"), NEW_YEAR + 9 * HOUR);
        assert_eq!(next("0 9 * * SAT"), NEW_YEAR + 57 * HOUR);
        assert_eq!(next("30 0 0 * * *"), NEW_YEAR + 30_000);
        for bad in ["", "x", "61 * * * *", "0 0 30 2 *"] {
            assert!(Schedule::cron(bad).next(NEW_YEAR).unwrap_err().is_config(), "{bad:?}");
        }
    }

    #[test]
    fn a_schedule_survives_the_store() {
        let schedule = Schedule::cron("@daily").priority(-3).group("g").attempts(2);
        let text = serde_json::to_string(&schedule).unwrap();
        assert_eq!(serde_json::from_str::<Schedule>(&text).unwrap(), schedule);
    }
}
