//! One established connection, ready to carry commands.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use larder_base::Clock;
use redis::{Cmd, Pipeline, RedisResult, Value, aio::MultiplexedConnection};
use tokio_util::sync::CancellationToken;

use super::{deadline::Deadlines, server::ServerInfo};
use crate::listen::Listeners;

/// A connection that was greeted, checked and, where somebody listens, tracked.
#[derive(Debug)]
pub(super) struct Link {
    conn: MultiplexedConnection,
    /// The server's id of this connection, for `CLIENT KILL ID`.
    pub(super) id: i64,
    pub(super) server: ServerInfo,
    pub(super) deadlines: Deadlines,
    pub(super) life: Arc<Life>,
    tracked: AtomicBool,
    clock: Clock,
}

/// What became of a connection: shared with its push sender, which hears of the end first.
#[derive(Debug)]
pub(super) struct Life {
    /// Ends when the connection is of no use any more.
    pub(super) over: CancellationToken,
    listeners: Arc<Listeners>,
    /// The same as `over`, cheaper to read.
    ended: AtomicBool,
    /// Set while it counts as up and tracked, for the listeners.
    counted: AtomicBool,
    /// Set if it ended because a command got no answer in time.
    overdue: AtomicBool,
}

impl Life {
    pub(super) fn new(listeners: Arc<Listeners>) -> Arc<Self> {
        Arc::new(Self {
            over: CancellationToken::new(),
            listeners,
            ended: AtomicBool::new(false),
            counted: AtomicBool::new(false),
            overdue: AtomicBool::new(false),
        })
    }

    /// The connection is up and tracked.
    pub(super) fn count(&self) {
        if !self.counted.swap(true, Ordering::AcqRel) {
            self.listeners.connected();
        }
    }

    /// The connection is of no use any more: whoever listens is told before anyone else can notice.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        if self.counted.swap(false, Ordering::AcqRel) {
            self.listeners.disconnected();
        }
        self.over.cancel();
    }

    /// Ends it because a command is past its deadline.
    pub(super) fn end_overdue(&self) {
        self.overdue.store(true, Ordering::Release);
        self.end();
    }

    pub(super) fn is_over(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(super) fn is_overdue(&self) -> bool {
        self.overdue.load(Ordering::Acquire)
    }
}

impl Link {
    pub(super) fn new(conn: MultiplexedConnection, id: i64, server: ServerInfo, life: Arc<Life>, clock: Clock) -> Self {
        Self {
            conn,
            id,
            server,
            deadlines: Deadlines::default(),
            life,
            tracked: AtomicBool::new(false),
            clock,
        }
    }

    pub(super) fn set_tracked(&self) {
        self.tracked.store(true, Ordering::Release);
    }

    pub(super) fn is_tracked(&self) -> bool {
        self.tracked.load(Ordering::Acquire)
    }

    /// A server that was a primary when this connection began and refuses writes now was demoted: its address may lead to
    /// its successor. One that was a replica from the start stays what the caller chose.
    pub(super) fn leave_replica(&self) {
        if self.server.is_primary {
            self.life.end();
        }
    }

    /// Sends a command and waits for its answer; the keeper ends the connection when that takes too long.
    #[inline]
    pub(super) async fn send(&self, cmd: &Cmd) -> RedisResult<Value> {
        let mut conn = self.conn.clone();
        let ticket = self.deadlines.enter();
        let began = ticket.is_sample().then(|| self.clock.monotonic());
        let result = conn.send_packed_command(cmd).await;
        ticket.answered();
        if let Some(began) = began {
            super::metrics::latency(self.clock.monotonic().saturating_sub(began));
        }
        result
    }

    /// Sends a pipeline as [`send`](Self::send) does a command.
    pub(super) async fn send_all(&self, pipeline: &Pipeline, offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        let mut conn = self.conn.clone();
        let ticket = self.deadlines.enter();
        let result = conn.send_packed_commands(pipeline, offset, count).await;
        ticket.answered();
        result
    }
}
