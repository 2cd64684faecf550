//! Limits that are changed at run time: one key of the namespace, which every process reads now and then, beside a check.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use larder_base::Clock;
use larder_store::{Script, ScriptCall, StoreError};
use redis::Value;
use serde::{Deserialize, Serialize};

use super::{Limit, LimitError, Limits, limits::Named};
use crate::{altered, names::Namespace, reply};

static LOOK: Script = Script::new("limit_look", include_str!("look.lua"));
static CONFIGURE: Script = Script::new("limit_configure", include_str!("configure.lua"));

/// For how long changed limits stay in the store when nobody uses them: longer than any holiday. Use renews it.
const KEPT: Duration = Duration::from_secs(90 * 86_400);

/// Where the limits of a namespace are written, and when this process looks there next.
#[derive(Debug)]
pub(super) struct Config {
    key: String,
    every: Duration,
    /// In µs of the monotonic clock; 0 until a look has been answered.
    next_look: AtomicU64,
}

/// Limits and the revision they have in the store; 0 for those of the program.
#[derive(Clone, Debug)]
pub(super) struct Revised {
    pub(super) revision: u64,
    pub(super) limits: Limits,
}

/// One limit as it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    name: String,
    kind: String,
    args: [u64; 2],
}

impl Config {
    pub(super) fn new(namespace: &Namespace, every: Duration) -> Self {
        // No subject's keys begin like this: theirs have a colon in the hash tag.
        let key = format!("limit:{{{}}}limits", namespace.text());
        Self {
            key,
            every,
            next_look: AtomicU64::new(0),
        }
    }

    /// Whether a look is due after the first one; of several callers at once one is told so.
    pub(super) fn is_due(&self, clock: &Clock) -> bool {
        let (now, next) = (micros(clock.monotonic()), self.next_look.load(Relaxed));
        let is_due = next != 0 && next <= now;
        is_due
            && self
                .next_look
                .compare_exchange(next, self.after(now), Relaxed, Relaxed)
                .is_ok()
    }

    /// Whether no look has been answered yet: then every caller looks before it goes by limits that may have been changed.
    pub(super) fn is_unknown(&self) -> bool {
        self.next_look.load(Relaxed) == 0
    }

    /// A look was sent at `sent`, and answered.
    pub(super) fn looked(&self, sent: Duration) {
        self.next_look.store(self.after(micros(sent)), Relaxed);
    }

    /// When the next look is due.
    fn after(&self, now: u64) -> u64 {
        now.saturating_add(micros(self.every)).max(1)
    }

    pub(super) fn look(&self) -> ScriptCall {
        altered::call(&LOOK).key(&self.key).int(KEPT.as_millis() as i64)
    }

    /// What a look found; `None` for the limits of the program.
    pub(super) fn read(reply: &Value) -> Result<Option<Revised>, LimitError> {
        let text: Option<String> =
            redis::from_redis_value_ref(reply).map_err(|error| StoreError::from(redis::RedisError::from(error)))?;
        text.map(|text| parse(&text)).transpose()
    }

    /// The call that writes `limits`, or takes away what was written.
    pub(super) fn write(&self, limits: Option<&[Named]>, replaces: Option<u64>) -> ScriptCall {
        let text = limits.map(write).unwrap_or_default();
        let replaces = replaces.map(|revision| revision.to_string()).unwrap_or_default();
        let call = altered::call(&CONFIGURE).key(&self.key).arg(text);
        call.int(KEPT.as_millis() as i64).arg(replaces)
    }

    /// The revision that is in force after a write.
    pub(super) fn written(reply: &Value, replaces: Option<u64>) -> Result<u64, LimitError> {
        let items = reply::items(reply, 2, "limit_configure")?;
        let found = reply::integer(&items[1])?.unsigned_abs();
        match reply::integer(&items[0])? {
            1 => Ok(found),
            _ => Err(LimitError::Changed {
                expected: replaces.unwrap_or_default(),
                found,
            }),
        }
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn write(limits: &[Named]) -> String {
    let written = limits.iter().map(|named| Written {
        name: named.name.to_string(),
        kind: named.limit.kind.name.to_owned(),
        args: named.limit.args,
    });
    serde_json::to_string(&written.collect::<Vec<_>>()).expect("names and numbers can be written as JSON")
}

fn parse(text: &str) -> Result<Revised, LimitError> {
    let unreadable = || LimitError::config(format!("the limits in the store cannot be read: `{text}`"));
    let (revision, json) = text.split_once(' ').ok_or_else(unreadable)?;
    let revision = revision.parse().map_err(|_| unreadable())?;
    let written: Vec<Written> = serde_json::from_str(json).map_err(|_| unreadable())?;
    let limits = written.iter().fold(Limits::new(), |limits, one| {
        limits.add(Some(&one.name), Limit::read(&one.kind, one.args))
    });
    Ok(Revised { revision, limits })
}
