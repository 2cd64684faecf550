//! What a queue says of its jobs and of itself.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use larder_base::codec::{CodecError, read_json};
use larder_store::StoreError;
use redis::Value;
use serde::de::DeserializeOwned;

use crate::reply;

/// Where a job is; the table of the [module](super) says what moves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobState {
    /// It can run at once.
    Waiting,
    /// It is not due yet.
    Delayed,
    /// Another of its group has its turn.
    Parked,
    /// A worker has it.
    Running,
    /// It is done, and its id still known.
    Done,
    /// It has failed for good.
    Dead,
}

impl JobState {
    fn read(text: &[u8]) -> Option<Self> {
        Some(match text {
            b"waiting" => Self::Waiting,
            b"delayed" => Self::Delayed,
            b"parked" => Self::Parked,
            b"running" => Self::Running,
            b"done" => Self::Done,
            b"dead" => Self::Dead,
            _ => return None,
        })
    }
}

/// What is known of a job.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct JobInfo {
    /// Its id.
    pub id: Arc<str>,
    /// Where it is.
    pub state: JobState,
    /// Attempts that began, and were not given back.
    pub attempts: u32,
    /// How many it has.
    pub attempts_max: u32,
    /// Higher goes first.
    pub priority: i8,
    /// The group it is in.
    pub group: Option<String>,
    /// How far its handler said that it is, from 0 to 1.
    pub progress: Option<f64>,
    /// Why its last attempt failed, or why it is dead.
    pub reason: Option<String>,
    /// When it was pushed, by the store's clock.
    pub pushed_at: SystemTime,
    /// When it is due, of a delayed one; of a parked one, at the earliest.
    pub due_at: Option<SystemTime>,
    /// When it was done, or died.
    pub ended_at: Option<SystemTime>,
    payload: Option<Vec<u8>>,
}

impl JobInfo {
    /// The job as JSON; `None` of one that is done, of which only the id is kept.
    #[must_use]
    pub fn json(&self) -> Option<&[u8]> {
        self.payload.as_deref()
    }

    /// The job itself; `None` of one that is done.
    ///
    /// # Errors
    /// [`CodecError::Deserialize`] if it is no `J`, as it is of a job that died for that.
    pub fn job<J: DeserializeOwned>(&self) -> Option<Result<J, CodecError>> {
        self.json().map(read_json)
    }

    /// From the fields of its hash; `None` where there is none.
    pub(super) fn read(id: Arc<str>, fields: &Value) -> Result<Option<Self>, StoreError> {
        let mut row: HashMap<String, Vec<u8>> = redis::from_redis_value_ref(fields).map_err(redis::RedisError::from)?;
        let Some(state) = row.get("s").and_then(|text| JobState::read(text)) else {
            return Ok(None);
        };
        let number = |field: &str| -> i64 {
            let text = row.get(field).and_then(|text| std::str::from_utf8(text).ok());
            text.and_then(|text| text.parse().ok()).unwrap_or(0)
        };
        let time = |ms: i64| UNIX_EPOCH + Duration::from_millis(ms.unsigned_abs());
        let string = |field: &str| row.get(field).map(|text| String::from_utf8_lossy(text).into_owned());
        let is_due = matches!(state, JobState::Delayed | JobState::Parked) && number("due") > 0;
        let has_ended = matches!(state, JobState::Done | JobState::Dead);
        Ok(Some(Self {
            id,
            state,
            attempts: number("n").clamp(0, i64::from(u32::MAX)) as u32,
            attempts_max: number("max").clamp(0, i64::from(u32::MAX)) as u32,
            priority: number("pri") as i8,
            group: string("g"),
            progress: string("prog").and_then(|text| text.parse().ok()),
            reason: string("why"),
            pushed_at: time(number("c")),
            due_at: is_due.then(|| time(number("due"))),
            ended_at: has_ended.then(|| time(number("f"))),
            payload: row.remove("p"),
        }))
    }
}

/// How many jobs a queue has in each state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Can run at once.
    pub waiting: u64,
    /// Not due yet.
    pub delayed: u64,
    /// Behind another of their group.
    pub parked: u64,
    /// With a worker.
    pub running: u64,
    /// Failed for good.
    pub dead: u64,
    /// Done, and their ids still known.
    pub done: u64,
    /// Whether the queue is paused.
    pub is_paused: bool,
    /// For how long the oldest that can run has been able to: how far the workers are behind. `None` where nothing waits.
    pub oldest_waiting: Option<Duration>,
    /// Schedules that are set.
    pub schedules: u64,
}

impl Counts {
    /// Jobs that are neither done nor dead.
    #[must_use]
    pub const fn lag(&self) -> u64 {
        self.waiting + self.delayed + self.parked + self.running
    }

    pub(super) fn read(value: &Value) -> Result<Self, StoreError> {
        let items = reply::items(value, 9, "queue_counts")?;
        let numbers: Vec<i64> = items.iter().map(reply::integer).collect::<Result<_, _>>()?;
        let count = |at: usize| numbers[at].unsigned_abs();
        Ok(Self {
            waiting: count(0),
            delayed: count(1),
            parked: count(2),
            running: count(3),
            dead: count(4),
            done: count(5),
            is_paused: numbers[6] == 1,
            oldest_waiting: u64::try_from(numbers[7]).ok().map(Duration::from_millis),
            schedules: count(8),
        })
    }
}
