//! A worker's turn at the store: what it tells, what it gets.

use std::{sync::Arc, time::Duration};

use larder_store::{ScriptCall, StoreError};
use redis::Value;

use super::{
    core::{Core, bytes, millis, text},
    schedule::Tick,
    script,
};
use crate::reply;

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Done,
    Retry {
        after: Duration,
        why: String,
    },
    Dead {
        why: String,
    },
    /// Not tried: another worker may.
    Back,
}

/// An attempt that ended, until the store knows.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) id: Arc<str>,
    pub(super) token: Arc<str>,
    pub(super) ending: Ending,
}

/// What the store made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    Done,
    Retried,
    Dead,
    Back,
    /// It was not this worker's any more.
    Lost,
}

/// A job that was taken.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) id: Arc<str>,
    pub(super) payload: Vec<u8>,
    pub(super) attempt: u32,
    pub(super) attempts_max: u32,
    pub(super) group: Option<Arc<str>>,
    /// What is left of its deadline.
    pub(super) deadline: Option<Duration>,
    pub(super) waited: Duration,
}

/// What a turn came to.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) now_ms: u64,
    /// When something is due that nobody pushes.
    pub(super) due_in: Option<Duration>,
    pub(super) stalled: u64,
    pub(super) buried: u64,
    /// One for each that ended, in their order.
    pub(super) settled: Vec<Settled>,
    pub(super) taken: Vec<Taken>,
    pub(super) ticks: Vec<Tick>,
}

const NAME: &str = "queue_turn";

impl Core {
    /// Settles `ended` and takes up to `wanted` jobs under `token`; what was taken under `replaces`, whose answer was lost, is
    /// given back before.
    pub(super) async fn turn(
        &self,
        ended: &[Ended],
        wanted: usize,
        token: &str,
        replaces: Option<&str>,
    ) -> Result<Turn, StoreError> {
        let settings = &self.settings;
        let mut call = self
            .begin(&script::TURN)
            .arg(token)
            .arg(replaces.unwrap_or_default())
            .int(wanted as i64)
            .int(millis(settings.visibility))
            .int(i64::from(settings.running_max))
            .int(millis(settings.keep_for))
            .int(settings.keep_count.min(1 << 52) as i64);
        for one in ended {
            call = one.add_to(call);
        }
        let turn = Turn::read(&self.store.call(&call).await?)?;
        if turn.settled.len() != ended.len() {
            return Err(reply::unexpected(NAME));
        }
        Ok(turn)
    }
}

impl Ended {
    fn add_to(&self, call: ScriptCall) -> ScriptCall {
        let (how, delay, why) = match &self.ending {
            Ending::Done => ("done", Duration::ZERO, ""),
            Ending::Retry { after, why } => ("retry", *after, &**why),
            Ending::Dead { why } => ("dead", Duration::ZERO, &**why),
            Ending::Back => ("back", Duration::ZERO, ""),
        };
        call.arg(&*self.id)
            .arg(&*self.token)
            .arg(how)
            .int(millis(delay))
            .arg(why)
    }
}

impl Turn {
    fn read(value: &Value) -> Result<Self, StoreError> {
        let items = reply::items(value, 8, NAME)?;
        let number = |at: usize| reply::integer(&items[at]);
        let list = |at: usize| reply::items(&items[at], 0, NAME);
        Ok(Self {
            now_ms: number(0)?.unsigned_abs(),
            due_in: span(number(2)?),
            stalled: number(3)?.unsigned_abs(),
            buried: number(4)?.unsigned_abs(),
            settled: list(5)?.iter().map(settled).collect::<Result<_, _>>()?,
            taken: list(6)?.iter().map(taken).collect::<Result<_, _>>()?,
            ticks: list(7)?.iter().map(tick).collect::<Result<_, _>>()?,
        })
    }
}

/// Milliseconds; negative for none.
fn span(ms: i64) -> Option<Duration> {
    u64::try_from(ms).ok().map(Duration::from_millis)
}

fn settled(value: &Value) -> Result<Settled, StoreError> {
    Ok(match bytes(value) {
        Some(b"done") => Settled::Done,
        Some(b"retried") => Settled::Retried,
        Some(b"dead") => Settled::Dead,
        Some(b"back") => Settled::Back,
        Some(b"lost") => Settled::Lost,
        _ => return Err(reply::unexpected(NAME)),
    })
}

fn taken(value: &Value) -> Result<Taken, StoreError> {
    let items = reply::items(value, 7, NAME)?;
    let string = |at: usize| text(&items[at]).ok_or_else(|| reply::unexpected(NAME));
    let group = string(4)?;
    Ok(Taken {
        id: string(0)?.into(),
        payload: bytes(&items[1]).ok_or_else(|| reply::unexpected(NAME))?.to_vec(),
        attempt: reply::integer(&items[2])?.clamp(0, i64::from(u32::MAX)) as u32,
        attempts_max: reply::integer(&items[3])?.clamp(0, i64::from(u32::MAX)) as u32,
        group: (!group.is_empty()).then(|| group.into()),
        deadline: span(reply::integer(&items[5])?),
        waited: span(reply::integer(&items[6])?).unwrap_or_default(),
    })
}

fn tick(value: &Value) -> Result<Tick, StoreError> {
    let items = reply::items(value, 3, NAME)?;
    let string = |at: usize| text(&items[at]).ok_or_else(|| reply::unexpected(NAME));
    Ok(Tick {
        name: string(0)?.to_owned(),
        due_ms: reply::integer(&items[1])?.unsigned_abs(),
        spec: string(2)?.to_owned(),
    })
}
