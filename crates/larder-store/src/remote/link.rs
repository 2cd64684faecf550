//! One established connection, ready to carry commands.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::aio::MultiplexedConnection;
use tokio_util::sync::CancellationToken;

use super::server::ServerInfo;
use crate::listen::{Heartbeat, Listeners};

/// A connection that was greeted, checked and, where somebody listens, tracked.
#[derive(Debug)]
pub(super) struct Link {
    conn: MultiplexedConnection,
    /// No other connection of this process has it.
    pub(super) number: u64,
    /// The server's id of this connection, for `CLIENT KILL ID`; never used twice by one run of a server.
    pub(super) id: i64,
    pub(super) server: ServerInfo,
    pub(super) life: Arc<Life>,
    /// When the request was sent that turned tracking on, in ns of the monotonic clock; 0 while it is off.
    tracked: AtomicU64,
}

/// What became of a connection: shared with its push sender, which hears of the end first.
#[derive(Debug)]
pub(super) struct Life {
    /// Ends when the connection is of no use any more.
    pub(super) over: CancellationToken,
    listeners: Arc<Listeners>,
    /// Which of the store's shared connections it is, for the listeners.
    index: usize,
    /// The same as `over`, cheaper to read.
    ended: AtomicBool,
    /// Set while it counts as up and tracked, for the listeners.
    counted: AtomicBool,
}

impl Life {
    pub(super) fn new(listeners: Arc<Listeners>, index: usize) -> Arc<Self> {
        Arc::new(Self {
            over: CancellationToken::new(),
            listeners,
            index,
            ended: AtomicBool::new(false),
            counted: AtomicBool::new(false),
        })
    }

    /// The connection is up and tracked since a request sent at `sent`.
    pub(super) fn count(&self, sent: Duration) {
        if !self.counted.swap(true, Ordering::AcqRel) {
            self.listeners.connected(self.index, sent);
        }
    }

    /// The connection answered a heartbeat.
    pub(super) fn confirmed(&self, beat: Heartbeat) {
        if self.counted.load(Ordering::Acquire) {
            self.listeners.confirmed(self.index, beat);
        }
    }

    /// The connection is of no use any more: whoever listens is told before anyone else can notice.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        if self.counted.swap(false, Ordering::AcqRel) {
            self.listeners.disconnected(self.index);
        }
        self.over.cancel();
    }

    pub(super) fn is_over(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

impl Link {
    pub(super) fn new(conn: MultiplexedConnection, id: i64, server: ServerInfo, life: Arc<Life>) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        Self {
            conn,
            // Relaxed: it only has to differ from all others.
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            id,
            server,
            life,
            tracked: AtomicU64::new(0),
        }
    }

    pub(super) fn set_tracked(&self, sent: Duration) {
        let nanos = u64::try_from(sent.as_nanos()).unwrap_or(u64::MAX);
        self.tracked.store(nanos.max(1), Ordering::Release);
    }

    /// When the request was sent that turned tracking on.
    pub(super) fn tracked_since(&self) -> Option<Duration> {
        let nanos = self.tracked.load(Ordering::Acquire);
        (nanos > 0).then(|| Duration::from_nanos(nanos))
    }

    /// A server that was a primary when this connection began and refuses writes now was demoted: its address may lead to
    /// its successor. One that was a replica from the start stays what the caller chose.
    pub(super) fn leave_replica(&self) {
        if self.server.is_primary {
            self.life.end();
        }
    }

    /// A handle to the connection, for one command or several after each other.
    #[inline]
    pub(super) fn conn(&self) -> MultiplexedConnection {
        self.conn.clone()
    }
}
