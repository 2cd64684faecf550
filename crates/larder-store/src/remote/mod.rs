//! A server behind a store: shared connections that come back by themselves, deadlines, retries.
//!
//! Reconnection is Larder's own, over the crate's `MultiplexedConnection`: its `ConnectionManager` hands pushes on by a
//! task behind an unbounded channel and shows a new connection before tracking is on, so a reader could miss an
//! invalidation that the server had sent.

mod attempts;
mod breaker;
mod coalesce;
mod connect;
mod deadline;
mod heartbeat;
mod line;
mod link;
mod pool;
mod request;
mod retry;
mod role;
mod script;
mod server;
mod solo;
mod subscribe;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use larder_base::Tasks;
use parking_lot::Mutex;
use redis::{Cmd, Pipeline, RedisResult, Value};
use tokio::task::JoinHandle;

use self::{
    line::Line,
    pool::Pool,
    request::{Batch, One},
};
use crate::{
    Connections, Invalidations, Listening, Node, Resp, StoreConfig, StoreError, StoreStats, listen::Listeners,
};

pub(crate) use attempts::Attempts;
pub use breaker::BreakerState;
pub(crate) use pool::Loan;
pub(crate) use request::Seat;

/// A server and our shared connections to it.
pub(crate) struct Remote {
    lines: Box<[Arc<Line>]>,
    next: AtomicUsize,
    listeners: Arc<Listeners>,
    pool: Arc<Pool>,
    pool_keeper: Mutex<Option<JoinHandle<Option<()>>>>,
    keepers: Mutex<Vec<Option<JoinHandle<Option<()>>>>>,
    tasks: Tasks,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("address", &self.lines[0].address)
            .finish_non_exhaustive()
    }
}

impl Remote {
    pub(crate) fn new(config: &StoreConfig) -> Self {
        let listeners = Listeners::new(config.connections);
        let lines: Box<[_]> = (0..config.connections)
            .map(|index| Line::new(config, listeners.clone(), index))
            .collect();
        Self {
            next: AtomicUsize::new(0),
            listeners,
            keepers: Mutex::new(lines.iter().map(|_| None).collect()),
            pool: Pool::new(config),
            pool_keeper: Mutex::default(),
            tasks: Tasks::new(),
            lines,
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.lines.iter().all(|line| line.is_up())
    }

    pub(crate) fn stats(&self) -> StoreStats {
        self.lines[0].figures.stats()
    }

    pub(crate) fn breaker(&self) -> BreakerState {
        self.lines[0].breaker.state()
    }

    pub(crate) fn node(&self) -> Node {
        let link = self.lines[0].up();
        Node {
            address: self.lines[0].address.clone(),
            is_primary: link.as_ref().is_none_or(|link| link.server.is_primary),
            generation: link.map(|link| link.server.generation.clone()),
        }
    }

    pub(crate) fn connections(&self) -> Connections {
        // A server that is gone takes all of our connections to it along.
        Connections::of(Some(self.lines[0].attempts.subscribe()))
    }

    pub(crate) async fn close(&self) {
        /// Nothing to finish: the tasks only have to notice.
        const GRACE: Duration = Duration::from_secs(1);
        for line in &self.lines {
            line.attempts.send_modify(|attempts| attempts.closed = true);
            if let Some(link) = line.current.swap(None) {
                link.life.end();
            }
        }
        self.pool.clear();
        self.tasks.shutdown(&self.lines[0].config.clock, GRACE).await;
    }

    pub(crate) async fn command(&self, cmd: &Cmd) -> RedisResult<Value> {
        self.line().run(One(cmd)).await
    }

    /// A handle for a caller who is about to send many commands.
    pub(crate) fn seat(&self) -> Option<(usize, Seat)> {
        let index = self.turn();
        self.lines[index].seat().map(|seat| (index, seat))
    }

    /// [`command`](Self::command) on a handle taken before; `None` if that is of no use any more.
    pub(crate) async fn command_on(&self, seat: &mut Option<(usize, Seat)>, cmd: &Cmd) -> Option<RedisResult<Value>> {
        let (index, held) = seat.as_mut()?;
        if !held.is_good() {
            *seat = None;
            return None;
        }
        Some(self.lines[*index].run_on(One(cmd), held).await)
    }

    pub(crate) async fn commands(&self, pipeline: &Pipeline, offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        let batch = Batch {
            pipeline,
            offset,
            count,
        };
        self.line().run(batch).await
    }

    /// The next line in turn, with a keeper.
    #[inline]
    fn line(&self) -> &Arc<Line> {
        let index = self.turn();
        let line = &self.lines[index];
        if !line.is_up() {
            self.ensure_keeper(index);
        }
        line
    }

    #[inline]
    fn turn(&self) -> usize {
        match self.lines.len() {
            1 => 0,
            // Relaxed: any order of turns is as good.
            n => self.next.fetch_add(1, Ordering::Relaxed) % n,
        }
    }

    /// Starts the line's keeper: at the first use, and again if the runtime that it was started on is gone.
    #[cold]
    fn ensure_keeper(&self, index: usize) {
        let mut keepers = self.keepers.lock();
        let keeper = &mut keepers[index];
        if keeper.as_ref().is_none_or(JoinHandle::is_finished) {
            let work = self.lines[index].clone().keep();
            *keeper = Some(self.tasks.spawn("store keeper", work));
        }
    }

    /// Takes a connection of one's own.
    pub(crate) async fn dedicated(&self) -> Result<Loan, StoreError> {
        self.check_open()?;
        self.keep_pool();
        self.pool.take().await
    }

    /// Refuses everything after [`close`](Self::close).
    pub(crate) fn check_open(&self) -> Result<(), StoreError> {
        let line = &self.lines[0];
        if line.attempts.borrow().closed {
            return Err(StoreError::Closed {
                address: line.address.clone(),
            });
        }
        Ok(())
    }

    /// Starts the upkeep of the pool: at the first use, and again if the runtime that it was started on is gone.
    pub(crate) fn keep_pool(&self) {
        let mut keeper = self.pool_keeper.lock();
        if keeper.as_ref().is_none_or(JoinHandle::is_finished) {
            *keeper = Some(self.tasks.spawn("store pool", self.pool.clone().keep()));
        }
    }

    pub(crate) async fn listen(&self, listener: Arc<dyn Invalidations>) -> Result<Listening, StoreError> {
        let line = &self.lines[0];
        if line.config.resp == Resp::V2 {
            // The server would say OK, and never push anything.
            return Err(line.cannot_track(connect::cause(std::io::Error::other("`resp` is 2"))));
        }
        let listening = self.listeners.add(listener);
        for index in 0..self.lines.len() {
            match self.track(index).await {
                Ok(()) => {}
                Err(error) if error.is_closed() || matches!(error, StoreError::Tracking { .. }) => return Err(error),
                // The next connection turns it on before anything else, and says so.
                Err(error) => tracing::info!(%error, "nothing is heard of changes before the store is back"),
            }
        }
        Ok(listening)
    }

    /// Turns tracking on on this line's connection, or on the next one.
    async fn track(&self, index: usize) -> Result<(), StoreError> {
        let line = &self.lines[index];
        let limit = line.config.command_deadline();
        let attempt = async {
            loop {
                self.ensure_keeper(index);
                let link = line.next_link().await?;
                let sent = line.config.clock.monotonic();
                match link.track(&line.config.clock).await {
                    Ok(()) => {
                        if !line.is_astray(&link) {
                            link.life.count(sent);
                        }
                        return Ok(());
                    }
                    // The next connection turns it on by itself.
                    Err(_) if link.life.is_over() => {}
                    Err(source) => return Err(line.cannot_track(source)),
                }
            }
        };
        match line.config.clock.timeout(limit, attempt).await {
            Some(outcome) => outcome?,
            // Nobody will see the answer of this connection: one that turns tracking on from the start takes its place.
            None => {
                if let Some(link) = line.up() {
                    link.life.end();
                }
            }
        }
        self.listeners.confirm();
        Ok(())
    }
}
