//! A command or a pipeline on its way: sent, judged, sent again where that is right.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use larder_base::metric::Text;
use redis::{Cmd, Pipeline, RedisResult, Value, aio::MultiplexedConnection};
use tracing::Instrument as _;

use super::{
    attempts,
    line::Line,
    link::{Life, Link},
    retry::{self, Verdict},
};
use crate::{
    StoreError, command,
    figures::{self, Count},
};

/// What can be sent over a link, several times if need be.
pub(super) trait Request {
    type Output;
    fn send(&self, conn: &mut MultiplexedConnection) -> impl Future<Output = RedisResult<Self::Output>> + Send;
    fn verdict(&self, outcome: &RedisResult<Self::Output>) -> Verdict;
    /// Whether running it twice is as good as once.
    fn is_idempotent(&self) -> bool;
    fn label(&self) -> Arc<str>;
    /// What its latency is measured under: one of few names.
    fn name(&self) -> Text;
}

/// A single command.
pub(super) struct One<'a>(pub(super) &'a Cmd);

impl Request for One<'_> {
    type Output = Value;

    fn send(&self, conn: &mut MultiplexedConnection) -> impl Future<Output = RedisResult<Value>> + Send {
        conn.send_packed_command(self.0)
    }

    #[inline]
    fn verdict(&self, outcome: &RedisResult<Value>) -> Verdict {
        match outcome {
            Ok(Value::ServerError(error)) => retry::of_reply(error, command::is_script(self.0)),
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

    fn name(&self) -> Text {
        command::label(self.0).into()
    }
}

/// A script's call, which is a command with a name of its own.
pub(super) struct Scripted<'a>(pub(super) &'a Cmd, pub(super) &'static str);

impl Request for Scripted<'_> {
    type Output = Value;

    fn send(&self, conn: &mut MultiplexedConnection) -> impl Future<Output = RedisResult<Value>> + Send {
        conn.send_packed_command(self.0)
    }

    #[inline]
    fn verdict(&self, outcome: &RedisResult<Value>) -> Verdict {
        One(self.0).verdict(outcome)
    }

    fn is_idempotent(&self) -> bool {
        false
    }

    fn label(&self) -> Arc<str> {
        self.1.into()
    }

    fn name(&self) -> Text {
        figures::script_name(self.1)
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

    fn send(&self, conn: &mut MultiplexedConnection) -> impl Future<Output = RedisResult<Vec<Value>>> + Send {
        conn.send_packed_commands(self.pipeline, self.offset, self.count)
    }

    /// A pipeline is sent again as a whole only if none of it ran.
    fn verdict(&self, outcome: &RedisResult<Vec<Value>>) -> Verdict {
        match outcome {
            Ok(values) => {
                let mut replies = values.iter().zip(self.pipeline.cmd_iter());
                let mut verdicts = replies.by_ref().map(|(value, cmd)| match value {
                    Value::ServerError(error) => retry::of_reply(error, command::is_script(cmd)),
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

    fn name(&self) -> Text {
        "pipeline".into()
    }
}

/// A handle to one connection, kept by a clone of the store that sends often: taking one anew for each command writes to
/// memory that all cores share.
#[derive(Debug)]
pub(crate) struct Seat {
    number: u64,
    life: Arc<Life>,
    conn: MultiplexedConnection,
}

impl Seat {
    #[inline]
    pub(super) fn is_good(&self) -> bool {
        !self.life.is_over()
    }
}

impl Line {
    /// Sends a request, again where that is right, within the command deadline.
    #[inline]
    pub(super) async fn run<R: Request + Sync>(&self, request: R) -> RedisResult<R::Output>
    where
        R::Output: Send,
    {
        let began = self.config.clock.coarse();
        let Some((number, mut conn)) = self.conn() else {
            return Box::pin(self.insist(&request, began, None)).await;
        };
        let outcome = self.carry(&request, &mut conn).await;
        self.judged(&request, began, number, outcome).await
    }

    /// [`run`](Self::run) on a connection that the caller has at hand.
    #[inline]
    pub(super) async fn run_on<R: Request + Sync>(&self, request: R, seat: &mut Seat) -> RedisResult<R::Output>
    where
        R::Output: Send,
    {
        let began = self.config.clock.coarse();
        let outcome = self.carry(&request, &mut seat.conn).await;
        self.judged(&request, began, seat.number, outcome).await
    }

    #[inline]
    async fn judged<R: Request + Sync>(
        &self,
        request: &R,
        began: Duration,
        number: u64,
        outcome: RedisResult<R::Output>,
    ) -> RedisResult<R::Output>
    where
        R::Output: Send,
    {
        match request.verdict(&outcome) {
            Verdict::Final => outcome,
            // In a box, so that the way that nearly all commands go stays small.
            _ => Box::pin(self.insist(request, began, Some((number, outcome)))).await,
        }
    }

    /// A handle to the connection, if one is up.
    #[inline]
    pub(super) fn conn(&self) -> Option<(u64, MultiplexedConnection)> {
        let current = self.current.load();
        let link = current.as_ref().filter(|link| !link.life.is_over())?;
        Some((link.number, link.conn()))
    }

    /// A handle to the connection for a caller who keeps it for many commands.
    pub(super) fn seat(&self) -> Option<Seat> {
        self.up().map(|link| Seat {
            number: link.number,
            life: link.life.clone(),
            conn: link.conn(),
        })
    }

    /// Sends over `conn` and waits for the answer; the keeper ends the connection when that takes too long.
    #[inline]
    pub(super) async fn carry<R: Request>(
        &self,
        request: &R,
        conn: &mut MultiplexedConnection,
    ) -> RedisResult<R::Output> {
        let ticket = self.deadlines.enter();
        let began = self.figures.begin().then(|| self.config.clock.monotonic());
        let outcome = if tracing::enabled!(tracing::Level::DEBUG) {
            let span = tracing::debug_span!("store", address = %self.address, command = %request.name());
            // In a box, so that the way without a subscriber stays small.
            Box::pin(request.send(conn).instrument(span)).await
        } else {
            request.send(conn).await
        };
        ticket.answered();
        if let Some(began) = began {
            figures::timed(request.name(), self.config.clock.monotonic().saturating_sub(began));
        }
        outcome
    }

    /// The way of everything that did not go right at once.
    async fn insist<R: Request>(
        &self,
        request: &R,
        began: Duration,
        first: Option<(u64, RedisResult<R::Output>)>,
    ) -> RedisResult<R::Output> {
        let mut last = first;
        let mut sent = 0;
        let mut may_have_run = false;
        loop {
            if let Some((number, outcome)) = last.take() {
                sent += 1;
                let verdict = request.verdict(&outcome);
                may_have_run |= verdict == Verdict::Unknown;
                if verdict == Verdict::Final {
                    return outcome;
                }
                if may_have_run && !request.is_idempotent() {
                    return Err(self.unknown(request, began).into());
                }
                if sent >= self.config.retry.max_attempts {
                    return if may_have_run {
                        Err(self.unknown(request, began).into())
                    } else {
                        outcome
                    };
                }
                tracing::debug!(command = %request.label(), sent, ?verdict, "sending again");
                self.prepare_again(verdict, number, sent).await;
            }
            let next = self.resend(request, began, may_have_run).await;
            last = Some(next.map_err(|error| self.not_sent(error, request, began, may_have_run))?);
        }
    }

    /// What comes before a request is sent again.
    async fn prepare_again(&self, verdict: Verdict, number: u64, sent: u32) {
        match verdict {
            Verdict::Final => {}
            // The answer to a command may break off before the end of the connection is told.
            Verdict::Unknown => self.give_up(number),
            Verdict::NotNow => self.pause(sent).await,
            Verdict::Elsewhere => {
                self.leave_replica();
                self.pause(sent).await;
            }
        }
        self.figures.count(Count::Retries);
    }

    /// Waits for a connection and sends over it.
    async fn resend<R: Request>(
        &self,
        request: &R,
        began: Duration,
        may_have_run: bool,
    ) -> Result<(u64, RedisResult<R::Output>), StoreError> {
        let left = self.left(request, began, may_have_run)?;
        let waiting = self.config.clock.timeout(left, self.next_link());
        let link = waiting
            .await
            .unwrap_or_else(|| Err(self.timed_out(request, may_have_run)))?;
        let left = self.left(request, began, may_have_run)?;
        let mut conn = link.conn();
        let answer = self.config.clock.timeout(left, self.carry(request, &mut conn)).await;
        answer
            .map(|outcome| (link.number, outcome))
            .ok_or_else(|| self.timed_out(request, true))
    }

    /// What to say of a request that could not be sent again: if its first copy may have run, that counts for more than why
    /// the second one did not leave.
    fn not_sent<R: Request>(&self, error: StoreError, request: &R, began: Duration, may_have_run: bool) -> StoreError {
        if may_have_run && !error.is_unknown_outcome() {
            return self.unknown(request, began);
        }
        error
    }

    /// Ends the connection of this number, unless another one took its place already.
    fn give_up(&self, number: u64) {
        if let Some(link) = self.up().filter(|link| link.number == number) {
            link.life.end();
        }
    }

    fn leave_replica(&self) {
        if let Some(link) = self.up() {
            link.leave_replica();
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

    fn unknown<R: Request>(&self, request: &R, began: Duration) -> StoreError {
        let waited = self.config.clock.monotonic().saturating_sub(began);
        if self.overdue.load(Ordering::Acquire) && waited >= self.config.command_deadline() {
            return self.timed_out(request, true);
        }
        self.figures.count(Count::Lost);
        StoreError::Lost {
            address: self.address.clone(),
            command: request.label(),
        }
    }

    fn timed_out<R: Request>(&self, request: &R, sent: bool) -> StoreError {
        self.figures.count(Count::Timeouts);
        self.breaker.failed();
        StoreError::Timeout {
            address: self.address.clone(),
            command: request.label(),
            waited: self.config.command_deadline(),
            sent,
        }
    }

    /// The connection, or the next one: until there is one, or `max_attempts` attempts failed.
    pub(super) async fn next_link(&self) -> Result<Arc<Link>, StoreError> {
        let mut attempts = self.attempts.subscribe();
        let probe = self.breaker.admit().map_err(|retry_in| {
            self.figures.count(Count::Refused);
            StoreError::BreakerOpen {
                address: self.address.clone(),
                retry_in,
                source: attempts.borrow().cause.clone(),
            }
        })?;
        // A probe asks for an attempt of its own; everyone else shares those of the keeper, the failed ones included.
        let enough = if probe.is_some() {
            self.hurry.notify_one();
            attempts.borrow().failed.saturating_add(1)
        } else {
            self.config.retry.max_attempts
        };
        let found = attempts::wait(&mut attempts, enough, || self.up()).await;
        found.map_err(|seen| {
            if seen.closed || seen.failed >= enough {
                self.figures.count(Count::Unconnected);
            }
            self.unreachable(&seen)
        })
    }
}
