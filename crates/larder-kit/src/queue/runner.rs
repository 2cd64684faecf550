//! The task of a worker: it takes turns at the store, runs what it took, and tells what became of it.
//!
//! There is one request at a time. What ends while it travels is told with the next, which also takes as many new jobs as there is
//! room for: a busy worker settles and takes in one round trip, and the busier it is the more at a time.

use std::{fmt, future::pending, marker::PhantomData, panic::AssertUnwindSafe, pin::Pin, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use larder_base::{Tasks, codec::read_json, failpoint};
use larder_store::{Event, Subscription};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    JobContext, JobFailure, Stopped,
    core::Core,
    failure::Then,
    figures::Count,
    held::{Held, Holding},
    turn::{Ended, Ending, Settled, Taken, Turn},
};
use crate::metric::{QUEUE_RUN, QUEUE_WAIT};

/// The first pause after the store failed; doubled up to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How often a stopping worker tries to tell the store of its jobs.
const FAREWELLS: u32 = 3;

/// How long a stopping worker waits for what it dropped: futures end at their next await.
const DROPPED_WITHIN: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
pub(super) struct Tuning {
    pub(super) concurrency: usize,
    pub(super) poll: Duration,
    pub(super) job_timeout: Option<Duration>,
}

/// An attempt on its way to its end; `None` of one that was lost.
type Going = Pin<Box<dyn Future<Output = (Arc<Held>, Option<Ending>)> + Send>>;

pub(super) struct Runner<J, H> {
    core: Arc<Core>,
    handler: Arc<H>,
    tuning: Tuning,
    tasks: Tasks,
    stopping: watch::Receiver<Option<Duration>>,
    holding: Arc<Holding>,
    going: FuturesUnordered<Going>,
    /// What the store does not know yet.
    ended: Vec<Ended>,
    /// Drops all attempts.
    halt: CancellationToken,
    /// Says when jobs come; away until it could be subscribed.
    ears: Option<Subscription>,
    /// When to look again, on the monotonic clock.
    look_at: Duration,
    /// Before this the store is left alone: it failed.
    pause_until: Duration,
    failures: u32,
    /// The claim whose answer was lost.
    replaces: Option<Arc<str>>,
    job: PhantomData<fn(J)>,
}

impl<J, H> fmt::Debug for Runner<J, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner")
            .field("tuning", &self.tuning)
            .finish_non_exhaustive()
    }
}

impl<J, H, F> Runner<J, H>
where
    J: DeserializeOwned + Send + 'static,
    H: Fn(J, JobContext) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), JobFailure>> + Send + 'static,
{
    pub(super) fn new(
        core: Arc<Core>,
        handler: Arc<H>,
        tuning: Tuning,
        tasks: Tasks,
        stopping: watch::Receiver<Option<Duration>>,
    ) -> Self {
        Self {
            core,
            handler,
            tuning,
            tasks,
            stopping,
            holding: Arc::default(),
            going: FuturesUnordered::new(),
            ended: Vec::new(),
            halt: CancellationToken::new(),
            ears: None,
            look_at: Duration::ZERO,
            pause_until: Duration::ZERO,
            failures: 0,
            replaces: None,
            job: PhantomData,
        }
    }

    pub(super) async fn run(mut self) -> Stopped {
        drop(
            self.tasks
                .spawn("queue beat", self.holding.clone().renew(self.core.clone())),
        );
        loop {
            let deadline = *self.stopping.borrow_and_update();
            if let Some(deadline) = deadline {
                return self.stop(deadline).await;
            }
            let now = self.core.clock().monotonic();
            let room = self.tuning.concurrency - self.going.len();
            let has_reason = !self.ended.is_empty() || (room > 0 && now >= self.look_at);
            if has_reason && now >= self.pause_until {
                self.take_turn(room).await;
            } else {
                self.wait(room > 0).await;
            }
        }
    }

    /// Waits until something ended, comes or is due.
    async fn wait(&mut self, has_room: bool) {
        let clock = self.core.clock().clone();
        let wake_at = match (self.ended.is_empty(), has_room) {
            (true, false) => None,
            (true, true) => Some(self.look_at.max(self.pause_until)),
            (false, _) => Some(self.pause_until),
        };
        let timer = async {
            match wake_at {
                Some(at) => clock.sleep(at.saturating_sub(clock.monotonic())).await,
                None => pending().await,
            }
        };
        let word = async {
            match &mut self.ears {
                Some(ears) if has_room => ears.next().await,
                _ => pending().await,
            }
        };
        tokio::select! {
            Some((held, ending)) = self.going.next() => self.note(&held, ending),
            word = word => match word {
                // Whatever was missed is looked for.
                Some(Event::Disconnected) => {}
                Some(_) => self.look_at = Duration::ZERO,
                None => self.ears = None,
            },
            () = timer => {}
            // A worker whose handle is gone is dropped with its tasks.
            _ = self.stopping.changed() => {}
        }
    }

    /// Tells what ended and takes what there is room for.
    async fn take_turn(&mut self, room: usize) {
        self.collect();
        // Words that came before this turn are answered by it.
        self.listen().await;
        let room = room.max(self.tuning.concurrency - self.going.len());
        let token = self.core.token();
        let sent = self.core.clock().monotonic();
        match self
            .core
            .turn(&self.ended, room, &token, self.replaces.as_deref())
            .await
        {
            Ok(turn) => {
                failpoint::reach("queue_taken");
                (self.failures, self.replaces) = (0, None);
                self.count(&turn);
                self.ended.clear();
                let is_full = turn.taken.len() == room;
                let (now_ms, ticks) = (turn.now_ms, turn.ticks);
                for job in turn.taken {
                    self.start(job, &token, sent);
                }
                let next = turn.due_in.map_or(self.poll(), |due| due.min(self.poll()));
                let now = self.core.clock().monotonic();
                self.look_at = if is_full || !ticks.is_empty() {
                    Duration::ZERO
                } else {
                    now + next
                };
                for tick in ticks {
                    if let Err(error) = self.core.tick(&tick, now_ms).await {
                        tracing::warn!(%error, queue = &**self.core.name.text(), schedule = tick.name, "a tick was not made");
                        self.pause();
                    }
                }
            }
            Err(error) => {
                tracing::debug!(%error, queue = &**self.core.name.text(), "the queue's store failed");
                if error.is_unknown_outcome() {
                    self.replaces = Some(token);
                }
                self.pause();
            }
        }
    }

    /// What has ended by now goes with this turn.
    fn collect(&mut self) {
        while let Some(Some((held, ending))) = self.going.next().now_or_never() {
            self.note(&held, ending);
        }
    }

    /// Sees to it that this worker is told of new jobs, and forgets what it was told so far.
    async fn listen(&mut self) {
        if self.ears.is_none() {
            let channel = format!("{}:wake", self.core.stem);
            // Without ears it looks by itself, and asks for them again then.
            self.ears = self.core.store.subscribe([channel]).await.ok();
        }
        while let Some(ears) = &mut self.ears {
            match ears.next().now_or_never() {
                None => return,
                Some(Some(_)) => {}
                Some(None) => self.ears = None,
            }
        }
    }

    fn poll(&self) -> Duration {
        self.tuning.poll.mul_f64(0.5 + self.core.random().unit() / 2.0)
    }

    fn pause(&mut self) {
        let whole = PAUSE_MIN.saturating_mul(1 << self.failures.min(10)).min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        let pause = whole.mul_f64(0.5 + self.core.random().unit() / 2.0);
        self.pause_until = self.core.clock().monotonic() + pause;
        self.look_at = Duration::ZERO;
    }

    fn count(&self, turn: &Turn) {
        for (settled, ended) in turn.settled.iter().zip(&self.ended) {
            self.core.count(match settled {
                Settled::Done => Count::Done,
                Settled::Retried => Count::Retried,
                Settled::Dead => Count::Dead,
                Settled::Back => Count::Back,
                Settled::Lost => Count::Overtaken,
            });
            if *settled == Settled::Lost {
                tracing::warn!(
                    queue = &**self.core.name.text(),
                    id = &*ended.id,
                    "a result came after the job was taken over, and was refused"
                );
            }
        }
        self.core.tally.add(Count::Stalled as usize, turn.stalled);
        self.core.tally.add(Count::Dead as usize, turn.buried);
    }

    /// Runs `job` on a task of its own.
    fn start(&mut self, job: Taken, token: &Arc<str>, sent: Duration) {
        let core = self.core.clone();
        QUEUE_WAIT.record([core.name.text().clone().into()], job.waited);
        let until = core.ours_until(sent);
        let counts = (job.attempt, job.attempts_max);
        let held = Arc::new(Held::new(job.id, token.clone(), counts, job.group, until));
        let payload = match read_json::<J>(&job.payload) {
            Ok(payload) => payload,
            Err(error) => {
                return self.note(
                    &held,
                    Some(Ending::Dead {
                        why: format!("undecodable: {error}"),
                    }),
                );
            }
        };
        self.holding.add(&held);
        let context = JobContext {
            core: core.clone(),
            held: held.clone(),
            deadline: job.deadline.map(|left| sent + left),
        };
        let (handler, halt, limit) = (self.handler.clone(), self.halt.clone(), self.tuning.job_timeout);
        let attempt = held.clone();
        let task = self.tasks.spawn("queue job", async move {
            let (clock, deadline) = (core.clock().clone(), context.deadline);
            let began = clock.monotonic();
            let over = |limit: Option<Duration>| {
                let clock = clock.clone();
                async move {
                    match limit {
                        Some(at) => clock.sleep(at.saturating_sub(clock.monotonic())).await,
                        None => pending().await,
                    }
                }
            };
            // A handler may panic before its first await.
            let work = AssertUnwindSafe(async { handler(payload, context).await }).catch_unwind();
            let ending = tokio::select! {
                ended = work => Some(match ended {
                    Ok(outcome) => core.ending(outcome, attempt.attempt),
                    Err(_) => core.ending(Err(JobFailure::retry("the handler panicked")), attempt.attempt),
                }),
                () = attempt.until_lost(&clock) => None,
                () = halt.cancelled() => Some(Ending::Back),
                () = over(deadline) => Some(Ending::Dead { why: "deadline: it was running then".to_owned() }),
                () = over(limit.map(|limit| began + limit)) => {
                    let failed = JobFailure::retry("timeout: it ran longer than `job_timeout`");
                    Some(core.ending(Err(failed), attempt.attempt))
                }
            };
            QUEUE_RUN.record(
                [core.name.text().clone().into()],
                clock.monotonic().saturating_sub(began),
            );
            ending
        });
        self.going.push(Box::pin(async move {
            // Its task ends by itself, or with all others.
            let ending = task.await.ok().flatten().unwrap_or(Some(Ending::Back));
            (held, ending)
        }));
    }

    fn note(&mut self, held: &Held, ending: Option<Ending>) {
        self.holding.remove(&held.id, &held.token);
        match ending {
            Some(ending) => self.ended.push(Ended {
                id: held.id.clone(),
                token: held.token.clone(),
                ending,
            }),
            None => {
                self.core.count(Count::Overtaken);
                tracing::warn!(
                    queue = &**self.core.name.text(),
                    id = &*held.id,
                    "a job was lost to another worker and dropped"
                );
            }
        }
    }

    /// Lets what runs go on for `deadline`, gives the rest back.
    async fn stop(mut self, deadline: Duration) -> Stopped {
        let clock = self.core.clock().clone();
        let until = clock.monotonic() + deadline;
        let had = self.going.len() + self.ended.len();
        while !self.going.is_empty() {
            let left = until.saturating_sub(clock.monotonic());
            let Some(Some((held, ending))) = clock.timeout(left, self.going.next()).await else {
                break;
            };
            self.note(&held, ending);
            self.tell(1).await;
        }
        self.halt.cancel();
        let dropped = async {
            while let Some((held, ending)) = self.going.next().await {
                self.holding.remove(&held.id, &held.token);
                let (id, token) = (held.id.clone(), held.token.clone());
                self.ended.extend(ending.map(|ending| Ended { id, token, ending }));
            }
        };
        let _all = clock.timeout(DROPPED_WITHIN, dropped).await;
        let back = self.ended.iter().filter(|ended| ended.ending == Ending::Back).count();
        self.tell(FAREWELLS).await;
        // Those of `ended` that are still there are all that there were: one turn tells all or none.
        let given_back = if self.ended.is_empty() { back } else { 0 };
        let untold = self.ended.len() + self.going.len();
        Stopped {
            finished: had - given_back - untold,
            given_back,
            untold,
        }
    }

    /// Tells the store of what ended and takes nothing, in so many attempts.
    async fn tell(&mut self, attempts: u32) {
        for _ in 0..attempts {
            self.collect();
            if self.ended.is_empty() && self.replaces.is_none() {
                return;
            }
            let token = self.core.token();
            match self.core.turn(&self.ended, 0, &token, self.replaces.as_deref()).await {
                Ok(turn) => {
                    self.count(&turn);
                    self.ended.clear();
                    self.replaces = None;
                }
                Err(error) => {
                    tracing::debug!(%error, queue = &**self.core.name.text(), "the store was not told of what ended");
                    self.core.clock().sleep(PAUSE_MIN).await;
                }
            }
        }
    }
}

impl Core {
    /// What is to become of `attempt`.
    fn ending(&self, outcome: Result<(), JobFailure>, attempt: u32) -> Ending {
        let Err(JobFailure { why, then }) = outcome else {
            return Ending::Done;
        };
        match then {
            Then::Retry => Ending::Retry {
                after: self.backoff(attempt),
                why,
            },
            Then::RetryAfter(after) => Ending::Retry { after, why },
            Then::Dead => Ending::Dead { why },
        }
    }
}
