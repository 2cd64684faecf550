//! A command or a pipeline on its way: sent, judged, sent again where that is right.

use std::{sync::Arc, time::Duration};

use redis::{Cmd, Pipeline, RedisResult, Value};

use super::{
    line::Line,
    link::Link,
    metrics,
    retry::{self, Verdict},
};
use crate::{StoreError, command};

/// What can be sent over a link, several times if need be.
pub(super) trait Request {
    type Output;
    fn send(&self, link: &Link) -> impl Future<Output = RedisResult<Self::Output>> + Send;
    fn verdict(&self, outcome: &RedisResult<Self::Output>) -> Verdict;
    /// Whether running it twice is as good as once.
    fn is_idempotent(&self) -> bool;
    fn label(&self) -> Arc<str>;
}

/// A single command.
pub(super) struct One<'a>(pub(super) &'a Cmd);

impl Request for One<'_> {
    type Output = Value;

    fn send(&self, link: &Link) -> impl Future<Output = RedisResult<Value>> + Send {
        link.send(self.0)
    }

    #[inline]
    fn verdict(&self, outcome: &RedisResult<Value>) -> Verdict {
        match outcome {
            Ok(Value::ServerError(error)) => retry::of_reply(error),
            Ok(_) => Verdict::Final,
            Err(error) => retry::of_error(error),
        }
    }

    fn is_idempotent(&self) -> bool {
        command::is_idempotent(self.0)
    }

    fn label(&self) -> Arc<str> {
        command::label(self.0)
    }
}

/// A pipeline.
pub(super) struct Batch<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) offset: usize,
    pub(super) count: usize,
}

impl Request for Batch<'_> {
    type Output = Vec<Value>;

    fn send(&self, link: &Link) -> impl Future<Output = RedisResult<Vec<Value>>> + Send {
        link.send_all(self.pipeline, self.offset, self.count)
    }

    /// A pipeline is sent again as a whole only if none of it ran.
    fn verdict(&self, outcome: &RedisResult<Vec<Value>>) -> Verdict {
        match outcome {
            Ok(values) => {
                let mut verdicts = values.iter().map(|value| match value {
                    Value::ServerError(error) => retry::of_reply(error),
                    _ => Verdict::Final,
                });
                let first = verdicts.next().unwrap_or(Verdict::Final);
                if verdicts.all(|verdict| verdict == first) {
                    first
                } else {
                    Verdict::Final
                }
            }
            Err(error) => retry::of_error(error),
        }
    }

    fn is_idempotent(&self) -> bool {
        self.pipeline.cmd_iter().all(command::is_idempotent)
    }

    fn label(&self) -> Arc<str> {
        let first = self.pipeline.cmd_iter().next().map(command::label);
        format!(
            "a pipeline of {} commands beginning with {}",
            self.pipeline.len(),
            first.unwrap_or_default()
        )
        .into()
    }
}

impl Line {
    /// Sends a request, again where that is right, within the command deadline.
    #[inline]
    pub(super) async fn run<R: Request>(&self, request: R) -> RedisResult<R::Output> {
        let began = self.config.clock.coarse();
        let Some(link) = self.up() else {
            return self.insist(request, began, None).await;
        };
        let outcome = request.send(&link).await;
        match request.verdict(&outcome) {
            Verdict::Final => outcome,
            _ => self.insist(request, began, Some((link, outcome))).await,
        }
    }

    /// The way of everything that did not go right at once.
    async fn insist<R: Request>(
        &self,
        request: R,
        began: Duration,
        first: Option<(Arc<Link>, RedisResult<R::Output>)>,
    ) -> RedisResult<R::Output> {
        let mut last = first;
        let mut sent = 0;
        loop {
            if let Some((link, outcome)) = last.take() {
                sent += 1;
                let verdict = request.verdict(&outcome);
                let spent = sent >= self.config.retry.max_attempts;
                match verdict {
                    Verdict::Final => return outcome,
                    Verdict::NotNow | Verdict::Elsewhere if spent => return outcome,
                    Verdict::Unknown if spent || !request.is_idempotent() => {
                        return Err(self.unknown(&request, &link, began).into());
                    }
                    Verdict::NotNow => self.pause(sent).await,
                    Verdict::Elsewhere => {
                        link.leave_replica();
                        self.pause(sent).await;
                    }
                    Verdict::Unknown => {}
                }
                metrics::retried();
            }
            let left = self.left(&request, began, sent > 0)?;
            let link = self.wait_until_up(&request, left).await?;
            let left = self.left(&request, began, sent > 0)?;
            let Some(outcome) = self.config.clock.timeout(left, request.send(&link)).await else {
                return Err(self.timed_out(&request, true).into());
            };
            last = Some((link, outcome));
        }
    }

    async fn pause(&self, failures: u32) {
        let span = self.config.retry.pause(failures, &self.config.random);
        self.config.clock.sleep(span).await;
    }

    /// What is left of the command deadline.
    fn left<R: Request>(&self, request: &R, began: Duration, sent: bool) -> Result<Duration, StoreError> {
        let spent = self.config.clock.monotonic().saturating_sub(began);
        let left = self.config.command_deadline().saturating_sub(spent);
        if left.is_zero() {
            Err(self.timed_out(request, sent))
        } else {
            Ok(left)
        }
    }

    fn unknown<R: Request>(&self, request: &R, link: &Link, began: Duration) -> StoreError {
        let waited = self.config.clock.monotonic().saturating_sub(began);
        if link.life.is_overdue() && waited >= self.config.command_deadline() {
            return self.timed_out(request, true);
        }
        metrics::failed("lost");
        StoreError::Lost {
            address: self.address.clone(),
            command: request.label(),
        }
    }

    fn timed_out<R: Request>(&self, request: &R, sent: bool) -> StoreError {
        metrics::failed("timeout");
        self.breaker.failed();
        StoreError::Timeout {
            address: self.address.clone(),
            command: request.label(),
            waited: self.config.command_deadline(),
            sent,
        }
    }

    /// Waits for a connection: until there is one, or `max_attempts` attempts failed, or time is up.
    async fn wait_until_up<R: Request>(&self, request: &R, left: Duration) -> Result<Arc<Link>, StoreError> {
        self.config
            .clock
            .timeout(left, self.next_link())
            .await
            .unwrap_or_else(|| Err(self.timed_out(request, false)))
    }

    /// The connection, or the next one.
    pub(super) async fn next_link(&self) -> Result<Arc<Link>, StoreError> {
        let mut attempts = self.attempts.subscribe();
        let probe = self.breaker.admit().map_err(|retry_in| {
            metrics::failed("breaker");
            StoreError::BreakerOpen {
                address: self.address.clone(),
                retry_in,
            }
        })?;
        // A probe asks for an attempt of its own; everyone else shares those of the keeper, the failed ones included.
        let enough = if probe.is_some() {
            self.hurry.notify_one();
            attempts.borrow().failed.saturating_add(1)
        } else {
            self.config.retry.max_attempts
        };
        loop {
            if let Some(link) = self.up() {
                return Ok(link);
            }
            let seen = attempts.borrow_and_update().clone();
            if seen.closed || seen.failed >= enough {
                metrics::failed("connect");
                return Err(self.unreachable(&seen));
            }
            if attempts.changed().await.is_err() {
                return Err(self.unreachable(&seen));
            }
        }
    }
}
