//! Accepting connections, and ending them.

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc, time::Duration};

use larder_base::{Clock, Tasks};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixStream},
};

use super::{
    ServeConfig,
    connection::Connection,
    listen::{self, UnixSocket},
    outbox::Outbox,
};
use crate::{ClientId, Engine, client::Peer};

/// After a failed accept, mostly for want of file descriptors: time for some to become free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// As often as Redis looks for expired keys by default (`hz 10`).
const TICK: Duration = Duration::from_millis(100);

/// What Redis says to one client too many.
const TOO_MANY: &[u8] = b"-ERR max number of clients reached\r\n";

/// An engine being served. Dropping it closes every connection at once; [`shutdown`](Self::shutdown) lets clients
/// have their answers first.
#[derive(Debug)]
pub struct Server {
    local: Vec<SocketAddr>,
    listeners: Tasks,
    shared: Shared,
}

/// What the accepting tasks and the server have in common.
#[derive(Clone)]
struct Shared {
    engine: Engine,
    clock: Clock,
    connections: Tasks,
    open: Arc<Mutex<BTreeMap<ClientId, Arc<Outbox>>>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("open", &self.open.lock().len()).finish()
    }
}

impl Server {
    /// Listens and serves until it is shut down or dropped.
    ///
    /// # Errors
    /// An address that cannot be listened on, named; one that other machines can reach without a password. The cause is
    /// a [`ListenError`](super::ListenError).
    ///
    /// # Cancel safety
    /// Nothing is served and every socket is closed.
    pub async fn start(engine: Engine, config: ServeConfig) -> io::Result<Self> {
        let tcp = listen::tcp(&config).await?;
        let unix = listen::unix(&config).await?;
        engine.apply(&config);
        let shared = Shared {
            clock: engine.clock().clone(),
            engine,
            connections: Tasks::new(),
            open: Arc::default(),
        };
        let listeners = Tasks::new();
        let mut local = Vec::new();
        for listener in tcp {
            local.push(listener.local_addr()?);
            listeners.spawn("accept tcp", shared.clone().accept_tcp(listener));
        }
        listeners.spawn("expire", shared.clone().expire());
        if let Some(socket) = unix {
            listeners.spawn("accept unix", shared.clone().accept_unix(socket));
        }
        Ok(Self {
            local,
            listeners,
            shared,
        })
    }

    /// Listens nowhere: it serves the connections that [`accept`](Self::accept) is given, which need not be sockets.
    #[must_use]
    pub fn unbound(engine: Engine) -> Self {
        let shared = Shared {
            clock: engine.clock().clone(),
            engine,
            connections: Tasks::new(),
            open: Arc::default(),
        };
        Self {
            local: Vec::new(),
            listeners: Tasks::new(),
            shared,
        }
    }

    /// Serves one more connection, until it ends or the server does. `name` is what `CLIENT LIST` shows as its address.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn accept(&self, stream: impl AsyncRead + AsyncWrite + Send + 'static, name: &str) {
        let peer = Peer {
            addr: name.to_owned(),
            laddr: name.to_owned(),
        };
        let (connection, guard) = self.shared.open(peer);
        let served = async move {
            let (reader, writer) = tokio::io::split(stream);
            serve(connection, guard, reader, writer).await;
        };
        drop(self.shared.connections.spawn("connection", served));
    }

    /// The first TCP address that it listens on; `None` if it listens on a Unix socket alone.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local.first().copied()
    }

    /// How many clients are connected.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.open.lock().len()
    }

    /// Accepts no more, answers what was received, and closes; `false` if clients were still being answered after
    /// `deadline` and were cut off.
    ///
    /// # Cancel safety
    /// Dropping the future cuts all connections off at once.
    pub async fn shutdown(self, deadline: Duration) -> bool {
        let Shared {
            clock,
            connections,
            open,
            ..
        } = &self.shared;
        self.listeners.shutdown(clock, deadline).await;
        open.lock().values().for_each(|outbox| outbox.drain());
        let in_order = connections.finish(clock, deadline).await;
        connections.shutdown(clock, deadline).await;
        in_order
    }
}

impl Shared {
    async fn accept_tcp(self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => self.welcome_tcp(stream, peer),
                Err(error) => self.pause(&error).await,
            }
        }
    }

    async fn accept_unix(self, socket: UnixSocket) {
        let path = socket.path.display().to_string();
        loop {
            match socket.listener.accept().await {
                Ok((stream, _)) => self.welcome_unix(stream, &path),
                Err(error) => self.pause(&error).await,
            }
        }
    }

    /// Lets keys that nobody asks for go when their time has come.
    async fn expire(self) {
        loop {
            self.clock.sleep(TICK).await;
            self.engine.tick();
        }
    }

    async fn pause(&self, error: &io::Error) {
        tracing::warn!(%error, "could not accept a connection");
        self.clock.sleep(ACCEPT_PAUSE).await;
    }

    fn welcome_tcp(&self, mut stream: TcpStream, peer: SocketAddr) {
        if self.is_full() {
            // If even this does not fit, the client sees the connection close.
            let _ = stream.try_write(TOO_MANY);
            return;
        }
        // A reply must not wait for the acknowledgement of the one before it.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection ended before it began");
            return;
        }
        let laddr = stream.local_addr().map(|addr| addr.to_string()).unwrap_or_default();
        let peer = Peer {
            addr: peer.to_string(),
            laddr,
        };
        let (connection, guard) = self.open(peer);
        self.connections.spawn("connection", async move {
            let (reader, writer) = stream.split();
            serve(connection, guard, reader, writer).await;
        });
    }

    fn welcome_unix(&self, mut stream: UnixStream, path: &str) {
        if self.is_full() {
            let _ = stream.try_write(TOO_MANY);
            return;
        }
        let peer = Peer {
            addr: format!("{path}:0"),
            laddr: format!("{path}:0"),
        };
        let (connection, guard) = self.open(peer);
        self.connections.spawn("connection", async move {
            let (reader, writer) = stream.split();
            serve(connection, guard, reader, writer).await;
        });
    }

    fn is_full(&self) -> bool {
        self.open.lock().len() >= self.engine.wire_limits().clients_max
    }

    fn open(&self, peer: Peer) -> (Connection, Registered) {
        let limits = self.engine.wire_limits();
        let outbox = Arc::new(Outbox::new(self.clock.clone(), limits.output));
        let session = self.engine.welcome(outbox.clone(), peer);
        let id = session.id();
        self.open.lock().insert(id, outbox.clone());
        let guard = Registered {
            open: self.open.clone(),
            id,
        };
        (Connection::new(session, outbox, self.clock.clone()), guard)
    }
}

/// A connection's place among the open ones, for as long as its task lives.
struct Registered {
    open: Arc<Mutex<BTreeMap<ClientId, Arc<Outbox>>>>,
    id: ClientId,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.open.lock().remove(&self.id);
    }
}

async fn serve<R, W>(connection: Connection, guard: Registered, reader: R, writer: W)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let ending = connection.run(reader, writer).await;
    tracing::debug!(client = guard.id.0, ?ending, "connection closed");
}
