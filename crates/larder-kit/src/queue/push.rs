//! Pushing jobs.

use std::sync::Arc;

use larder_base::codec::write_json;
use larder_store::{ScriptCall, StoreError};
use redis::Value;
use serde::Serialize;

use super::{
    JobOptions, QueueError,
    core::{Core, millis, text},
    figures::Count,
    script,
};
use crate::reply;

/// Jobs per round trip of a long list: a pipeline of that many keeps the server at it for some 10 ms.
const BATCH: usize = 256;

/// What became of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The job's id.
    pub id: Arc<str>,
    /// Whether it is this push's job; `false` if there was one of that id, which is left as it is.
    pub is_new: bool,
}

/// One push on its way: the job's id, and the call that pushes it.
pub(super) type Request = (Arc<str>, ScriptCall);

impl Core {
    pub(super) async fn push<J: Serialize>(&self, job: &J, options: &JobOptions) -> Result<Pushed, QueueError> {
        let (id, call) = self.prepare(job, options)?;
        self.pushed(id, self.store.call(&call).await)
    }

    /// Those that can be sent go in pipelines; each has its own outcome, in their order.
    pub(super) async fn push_all(&self, requests: Vec<Result<Request, QueueError>>) -> Vec<Result<Pushed, QueueError>> {
        let mut outcomes = Vec::with_capacity(requests.len());
        let mut requests = requests.into_iter().peekable();
        while requests.peek().is_some() {
            let mut slots = Vec::with_capacity(BATCH);
            let mut calls = Vec::with_capacity(BATCH);
            for request in requests.by_ref().take(BATCH) {
                slots.push(request.map(|(id, call)| {
                    calls.push(call);
                    id
                }));
            }
            let mut replies = self.store.call_many(&calls).await.into_iter();
            outcomes.extend(slots.into_iter().map(|slot| {
                let id = slot?;
                self.pushed(id, replies.next().expect("one for each call"))
            }));
        }
        outcomes
    }

    pub(super) fn prepare<J: Serialize>(&self, job: &J, options: &JobOptions) -> Result<Request, QueueError> {
        options.check()?;
        let payload = self.encode(job)?;
        let id = options.id.clone().unwrap_or_else(|| self.token());
        let call = self
            .begin(&script::PUSH)
            .arg(&*id)
            .arg(payload)
            .int(millis(options.delay))
            .int(options.at_ms())
            .int(i64::from(options.priority))
            .arg(options.group.as_deref().unwrap_or_default())
            .int(options.deadline.map_or(0, millis))
            .int(i64::from(options.attempts.unwrap_or(self.settings.attempts)))
            .arg(self.nonce())
            .int(self.settings.capacity.min(i64::MAX as u64) as i64);
        Ok((id, call))
    }

    /// Tells a push from another of the same id.
    pub(super) fn nonce(&self) -> String {
        format!("{:016x}", self.random().next_u64())
    }

    pub(super) fn encode<J: Serialize>(&self, job: &J) -> Result<Vec<u8>, QueueError> {
        let mut payload = Vec::new();
        write_json(job, &mut payload, self.settings.payload_max).map_err(QueueError::Payload)?;
        Ok(payload)
    }

    fn pushed(&self, id: Arc<str>, answer: Result<Value, StoreError>) -> Result<Pushed, QueueError> {
        let read = answer.and_then(|value| {
            let items = reply::items(&value, 2, "queue_push")?;
            Ok((reply::integer(&items[0])?, items[1].clone()))
        });
        let outcome = match read {
            Ok((1, _)) => (Count::PushNew, Ok(Pushed { id, is_new: true })),
            Ok((0, _)) => (Count::PushKnown, Ok(Pushed { id, is_new: false })),
            Ok((_, jobs)) => (
                Count::PushFull,
                Err(QueueError::Full {
                    queue: self.name.text().clone(),
                    jobs: reply::integer(&jobs)?.unsigned_abs(),
                }),
            ),
            Err(source) => (Count::PushFailed, Err(QueueError::Push { id, source })),
        };
        self.count(outcome.0);
        outcome.1
    }
}

/// Whether a script's list begins with this number, and the text after it.
pub(super) fn verdict(value: &Value, script: &'static str) -> Result<(i64, Option<String>), StoreError> {
    let items = reply::items(value, 2, script)?;
    Ok((reply::integer(&items[0])?, text(&items[1]).map(str::to_owned)))
}
