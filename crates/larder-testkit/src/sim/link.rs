//! One process's way to the server.

use std::{io, sync::Arc, time::Duration};

use larder_base::{Clock, Random, Tasks};
use larder_store::{ByteStream, Dial, Dialing};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use super::sea::{Port, Steps};

/// How a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// Both ends see it at once; what is under way is lost.
    Reset,
    /// The client sees it, and the server does not: what the client has sent still arrives, late.
    Strand,
    /// The server sees it, and the client does not, until it misses an answer.
    Vanish,
}

/// Bytes that a direction holds at most; a sender waits beyond that.
const BUFFER: usize = 64 * 1024;

/// How many turns of the others a piece may take: enough to let a whole operation of another go by.
const TURNS_MAX: u64 = 10;

/// One piece in so many takes some time, too.
const SLOW_ONE_IN: u64 = 6;

/// How long a slow piece takes at most.
const SLOW_MAX: Duration = Duration::from_millis(40);

/// How long a piece of a stranded connection takes at most: until after its successor is up.
const STRANDED_MAX: Duration = Duration::from_millis(400);

/// The network between one process and the server. It decides when each piece arrives and when a connection breaks; on each
/// connection pieces stay in order.
#[derive(Debug)]
pub struct Link {
    port: Port,
    clock: Clock,
    random: Random,
    steps: Steps,
    /// Nothing leaves and nothing arrives: towards the server, towards the client.
    frozen: [watch::Sender<bool>; 2],
    refuses: Mutex<bool>,
    lines: Mutex<Vec<Line>>,
    tasks: Tasks,
}

/// The ends of one connection.
#[derive(Clone, Debug, Default)]
struct Line {
    up: CancellationToken,
    down: CancellationToken,
    stranded: CancellationToken,
}

impl Link {
    pub(super) fn new(port: Port, clock: Clock, random: Random, steps: Steps) -> Arc<Self> {
        Arc::new(Self {
            port,
            clock,
            random,
            steps,
            frozen: [watch::Sender::new(false), watch::Sender::new(false)],
            refuses: Mutex::new(false),
            lines: Mutex::default(),
            tasks: Tasks::new(),
        })
    }

    /// Breaks every connection that is open.
    pub fn cut(&self, how: Break) {
        for line in self.lines.lock().drain(..) {
            match how {
                Break::Reset => {
                    line.up.cancel();
                    line.down.cancel();
                }
                Break::Strand => {
                    line.stranded.cancel();
                    line.down.cancel();
                }
                Break::Vanish => line.up.cancel(),
            }
        }
        self.steps.take();
    }

    /// Refuses new connections, or accepts them again.
    pub fn refuse(&self, refuses: bool) {
        *self.refuses.lock() = refuses;
    }

    /// Holds everything that travels towards the server, or lets it go.
    pub fn hold_requests(&self, holds: bool) {
        self.frozen[0].send_replace(holds);
    }

    /// Holds everything that travels towards the client, replies and pushes, or lets it go: a half-open connection.
    pub fn hold_replies(&self, holds: bool) {
        self.frozen[1].send_replace(holds);
    }

    /// A SIGSTOP and its SIGCONT, as far as the network sees it.
    pub fn pause(&self, paused: bool) {
        self.hold_requests(paused);
        self.hold_replies(paused);
    }

    /// Waits a random number of turns, sometimes some time, and as long as the direction is held.
    async fn travel(&self, direction: usize, line: &Line) {
        for _ in 0..self.random.below(TURNS_MAX) {
            self.steps.take();
            tokio::task::yield_now().await;
        }
        let slowest = if line.stranded.is_cancelled() {
            STRANDED_MAX
        } else {
            SLOW_MAX
        };
        if line.stranded.is_cancelled() || self.random.below(SLOW_ONE_IN) == 0 {
            self.clock.sleep(slowest.mul_f64(self.random.unit())).await;
        }
        let mut frozen = self.frozen[direction].subscribe();
        // The sender lives as long as this link.
        let _open = frozen.wait_for(|frozen| !frozen).await;
    }

    async fn carry<R, W>(self: Arc<Self>, mut from: R, mut to: W, direction: usize, line: Line)
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let ended = if direction == 0 { &line.up } else { &line.down };
        let mut piece = vec![0; BUFFER];
        let pieces = async {
            loop {
                let length = from.read(&mut piece).await?;
                if length == 0 {
                    return io::Result::Ok(());
                }
                self.travel(direction, &line).await;
                to.write_all(&piece[..length]).await?;
                self.steps.take();
            }
        };
        // However it ends, the other side sees an end: this one's half is dropped, and that of the other direction with it.
        let _end = ended.run_until_cancelled(pieces).await;
        let _gone = to.shutdown().await;
        self.steps.take();
    }

    fn connect(self: &Arc<Self>) -> io::Result<DuplexStream> {
        if *self.refuses.lock() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (client, near) = tokio::io::duplex(BUFFER);
        let (far, server) = tokio::io::duplex(BUFFER);
        self.port.accept(server)?;
        let line = Line::default();
        let (from_client, to_client) = tokio::io::split(near);
        let (from_server, to_server) = tokio::io::split(far);
        let towards = self.clone().carry(from_client, to_server, 0, line.clone());
        let back = self.clone().carry(from_server, to_client, 1, line.clone());
        drop(self.tasks.spawn("requests", towards));
        drop(self.tasks.spawn("replies", back));
        let mut lines = self.lines.lock();
        lines.retain(|line| !line.up.is_cancelled());
        lines.push(line);
        Ok(client)
    }
}

/// What a store dials.
#[derive(Debug)]
pub(super) struct Dialer(pub(super) Arc<Link>);

impl Dial for Dialer {
    fn dial(&self) -> Dialing<'_> {
        Box::pin(async {
            self.0.steps.take();
            self.0.connect().map(|stream| Box::new(stream) as Box<dyn ByteStream>)
        })
    }
}
