//! One shared connection over time: established, kept, replaced.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use arc_swap::ArcSwapOption;
use futures_util::future::{Fuse, FusedFuture as _, FutureExt as _};
use larder_base::{Tasks, metric::Figures as _};
use tokio::sync::{Notify, watch};

use super::{
    attempts::Attempts,
    breaker::Breaker,
    connect::{self, Cause, Previous},
    deadline::Deadlines,
    link::Link,
    request::One,
};
use crate::{
    BreakerState, StoreConfig, StoreError,
    figures::{Count, Figures, Watched},
    listen::Listeners,
};

/// A shared connection and its successors. Exactly one task, its keeper, replaces it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) config: StoreConfig,
    pub(super) address: Arc<str>,
    pub(super) listeners: Arc<Listeners>,
    /// Which of the store's shared connections it is.
    pub(super) index: usize,
    /// Whether a connection of it led to a primary.
    was_primary: AtomicBool,
    /// The connection that carries commands; only ever one that is wholly set up.
    pub(super) current: ArcSwapOption<Link>,
    pub(super) deadlines: Arc<Deadlines>,
    /// Whether the last connection ended for want of an answer.
    pub(super) overdue: AtomicBool,
    pub(super) attempts: watch::Sender<Attempts>,
    /// Rung to skip a pause between two attempts.
    pub(super) hurry: Notify,
    pub(super) breaker: Breaker,
    pub(super) figures: Arc<Figures>,
}

impl Watched for Line {
    fn is_up(&self) -> bool {
        self.is_up()
    }

    fn in_flight(&self) -> u64 {
        self.deadlines.in_flight()
    }

    fn breaker(&self) -> BreakerState {
        self.breaker.state()
    }
}

impl Line {
    pub(super) fn new(config: &StoreConfig, listeners: Arc<Listeners>, index: usize) -> Arc<Self> {
        let figures = Figures::of(&config.address());
        let line = Arc::new(Self {
            config: config.clone(),
            address: config.address(),
            listeners,
            index,
            was_primary: AtomicBool::new(false),
            current: ArcSwapOption::empty(),
            deadlines: Arc::default(),
            overdue: AtomicBool::new(false),
            attempts: watch::Sender::new(Attempts::default()),
            hurry: Notify::new(),
            breaker: Breaker::new(config.breaker.clone(), config.clock.clone(), config.address()),
            figures,
        });
        line.figures.watch(&line);
        line
    }

    #[inline]
    pub(super) fn is_up(&self) -> bool {
        self.current.load().as_ref().is_some_and(|link| !link.life.is_over())
    }

    /// The connection, if one is up.
    #[inline]
    pub(super) fn up(&self) -> Option<Arc<Link>> {
        self.current.load_full().filter(|link| !link.life.is_over())
    }

    /// Whether the connection leads to a replica where others before it led to the primary: the address may soon lead to the
    /// new one, and until then what is read may be behind (rule R8 of protocol 1.5).
    pub(super) fn is_astray(&self, link: &Link) -> bool {
        self.was_primary.load(Ordering::Acquire) && link.server.is_replica()
    }

    /// Keeps a connection up until the store is gone.
    pub(super) async fn keep(self: Arc<Self>) {
        // There is one already if the runtime of an earlier keeper is gone.
        let mut previous = self.current.swap(None).map(|link| link.as_previous());
        loop {
            let tasks = Tasks::new();
            let link = self.establish(previous.as_ref(), &tasks).await;
            self.publish(&link);
            self.watch_over(&link).await;
            link.life.end();
            self.current.store(None);
            let overdue = self.overdue.load(Ordering::Acquire);
            let cause = if overdue { Count::Overruns } else { Count::Disconnects };
            self.figures.count(cause);
            tracing::info!(address = %self.address, overdue, "lost the connection to the store");
            previous = Some(link.as_previous());
            // `tasks` ends here, and with it the connection's own task and everything that waited on it.
        }
    }

    /// Tries until it is connected.
    async fn establish(&self, previous: Option<&Previous>, tasks: &Tasks) -> Arc<Link> {
        let mut failures = 0;
        loop {
            match self.attempt(previous, tasks).await {
                Ok(link) => return Arc::new(link),
                Err(cause) => {
                    failures += 1;
                    self.report(failures, cause);
                }
            }
            let pause = self.config.retry.pause(failures, &self.config.random);
            tokio::select! {
                () = self.config.clock.sleep(pause) => {}
                () = self.hurry.notified() => {}
            }
        }
    }

    async fn attempt(&self, previous: Option<&Previous>, tasks: &Tasks) -> Result<Link, Cause> {
        let limit = self.config.connect_timeout;
        let connecting = connect::shared(self, previous, tasks);
        let outcome = self.config.clock.timeout(limit, connecting).await;
        outcome.unwrap_or_else(|| Err(connect::too_slow(limit)))
    }

    fn report(&self, failures: u32, cause: Cause) {
        self.figures.count(Count::ConnectFailures);
        self.breaker.failed();
        self.figures.publish();
        tracing::debug!(address = %self.address, failures, %cause, "could not connect");
        self.attempts.send_modify(|attempts| {
            attempts.failed = failures;
            attempts.cause = Some(cause);
        });
    }

    fn publish(&self, link: &Arc<Link>) {
        let is_first = self.attempts.borrow().connected == 0;
        self.figures
            .count(if is_first { Count::Connects } else { Count::Reconnects });
        tracing::info!(address = %self.address, version = %link.server.version, "connected to the store");
        if link.server.is_primary {
            self.was_primary.store(true, Ordering::Release);
        }
        if let Some(sent) = link.tracked_since().filter(|_| !self.is_astray(link)) {
            link.life.count(sent);
            self.listeners.confirm();
        }
        self.breaker.succeeded();
        self.overdue.store(false, Ordering::Release);
        self.current.store(Some(link.clone()));
        self.attempts.send_modify(|attempts| {
            attempts.failed = 0;
            attempts.cause = None;
            attempts.connected += 1;
        });
    }

    /// Returns when the connection is of no use any more: it ended, a command is past its deadline, or the server is not what
    /// it was.
    async fn watch_over(&self, link: &Link) {
        let tick = Deadlines::tick(self.config.command_deadline());
        let mut probe = std::pin::pin!(Fuse::terminated());
        let mut heart = std::pin::pin!(self.beat(link));
        let mut changed = std::pin::pin!(self.changed(link));
        loop {
            tokio::select! {
                () = link.life.over.cancelled() => return,
                () = &mut heart => return,
                () = &mut changed => return,
                () = &mut probe => {}
                () = self.config.clock.sleep(tick) => {
                    self.figures.publish();
                    if self.deadlines.turn() {
                        self.overdue.store(true, Ordering::Release);
                        link.life.end();
                        return;
                    }
                    // Nobody waits for the answers that callers gave up on: a PING of our own finds out whether the
                    // connection still gives any.
                    if self.deadlines.was_abandoned() && probe.is_terminated() {
                        probe.set(self.probe(link).fuse());
                    }
                }
            }
        }
    }

    /// A sign of life; without one the deadline ends the connection.
    async fn probe(&self, link: &Link) {
        let _answered = self.carry(&One(&redis::cmd("PING")), &mut link.conn()).await;
    }

    /// An error for whoever wanted to listen.
    pub(super) fn cannot_track(&self, source: Cause) -> StoreError {
        StoreError::Tracking {
            address: self.address.clone(),
            source,
        }
    }

    /// An error for whoever waited in vain.
    pub(super) fn unreachable(&self, attempts: &Attempts) -> StoreError {
        if attempts.closed {
            return StoreError::Closed {
                address: self.address.clone(),
            };
        }
        let nothing = || connect::cause(std::io::Error::other("no attempt to connect was made yet"));
        StoreError::Connect {
            address: self.address.clone(),
            attempts: attempts.failed,
            source: attempts.cause.clone().unwrap_or_else(nothing),
        }
    }
}

impl Link {
    fn as_previous(&self) -> Previous {
        Previous {
            id: self.id,
            generation: self.server.generation.clone(),
        }
    }
}
