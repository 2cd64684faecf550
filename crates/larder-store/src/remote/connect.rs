//! From an address to a connection that may carry commands.
//!
//! In this order, and nothing is published before the end: connect, `HELLO 3` with the credentials, `SELECT`, the
//! server's generation, `CLIENT KILL ID` of the connection before, `CLIENT TRACKING` where somebody listens,
//! `CLIENT TRACKINGINFO`.

use std::{error::Error, io, sync::Arc, time::Duration};

use larder_base::{Clock, Tasks};
use redis::{
    AsyncConnectionConfig, ProtocolVersion, PushInfo, PushKind, RedisConnectionInfo, RedisError, Value,
    aio::{AsyncPushSender, MultiplexedConnection, SendError},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};

use super::{
    coalesce::Coalesce,
    deadline::Deadlines,
    line::Line,
    link::{Life, Link},
    server::ServerInfo,
};
use crate::{Generation, Resp, StoreConfig, config::Target, info, listen::Listeners};

pub(super) type Cause = Arc<dyn Error + Send + Sync>;

/// A connection that ended, so that the next one can end what is stuck on it.
#[derive(Clone, Debug)]
pub(super) struct Previous {
    pub(super) id: i64,
    pub(super) generation: Generation,
}

/// Opens a shared connection.
///
/// # Cancel safety
/// Dropping the future closes the socket.
pub(super) async fn shared(line: &Line, previous: Option<&Previous>, tasks: &Tasks) -> Result<Link, Cause> {
    let Line { config, listeners, .. } = line;
    let life = Life::new(listeners.clone(), line.index);
    let pushes = Pushes {
        life: life.clone(),
        listeners: listeners.clone(),
    };
    let setup = Setup {
        config,
        pushes: (config.resp == Resp::V3).then_some(pushes),
        load: Some(line.deadlines.clone()),
        life: &life,
        tasks,
    };
    let mut conn = setup.open().await?;
    let (id, server) = introduce(&mut conn, config).await?;
    if let Some(previous) = previous {
        bury(&mut conn, previous, &server).await?;
    }
    let link = Link::new(conn, id, server, life);
    if !listeners.is_empty() {
        link.track(&config.clock).await?;
    }
    Ok(link)
}

/// What makes a connection out of an address.
pub(super) struct Setup<'a, P> {
    pub(super) config: &'a StoreConfig,
    /// Takes what the server sends unasked; RESP3 alone has that.
    pub(super) pushes: Option<P>,
    /// Who shares the connection, if it is shared.
    pub(super) load: Option<Arc<Deadlines>>,
    /// Ends with the connection.
    pub(super) life: &'a Arc<Life>,
    /// Gets the connection's own task.
    pub(super) tasks: &'a Tasks,
}

impl<P: AsyncPushSender> Setup<'_, P> {
    /// Opens a socket and greets the server.
    pub(super) async fn open(self) -> Result<MultiplexedConnection, Cause> {
        if let Some(dialer) = &self.config.dialer {
            let stream = dialer.dial().await.map_err(cause)?;
            return self.greet(stream).await;
        }
        match &self.config.target {
            Target::Tcp { host, port } => {
                let stream = tcp(host, *port).await?;
                self.greet(stream).await
            }
            Target::Unix { path } => {
                let stream = UnixStream::connect(path).await.map_err(cause)?;
                self.greet(stream).await
            }
            Target::Embedded { .. } => unreachable!("an embedded target has no address"),
        }
    }

    async fn greet<S>(self, stream: S) -> Result<MultiplexedConnection, Cause>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut settings = AsyncConnectionConfig::new()
            // The crate's own deadline is 500 ms and costs a timer per command: ours is per connection.
            .set_response_timeout(None)
            .set_connection_timeout(None);
        if let Some(pushes) = self.pushes {
            settings = settings.set_push_sender(pushes);
        }
        let stream = Coalesce::new(stream, self.load);
        let greeting = greeting(self.config);
        let (conn, driver) = MultiplexedConnection::new_with_config(&greeting, stream, settings)
            .await
            .map_err(cause)?;
        let end = EndOnDrop(self.life.clone());
        self.tasks.spawn("store connection", async move {
            driver.await;
            drop(end);
        });
        Ok(conn)
    }
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream, Cause> {
    /// Silence after which the kernel asks whether the other end is still there.
    const KEEPALIVE: Duration = Duration::from_secs(15);
    let stream = TcpStream::connect((host, port)).await.map_err(cause)?;
    stream.set_nodelay(true).map_err(cause)?;
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE);
    socket2::SockRef::from(&stream)
        .set_tcp_keepalive(&keepalive)
        .map_err(cause)?;
    Ok(stream)
}

/// Ends a connection with the task that carries it, however that ends: its runtime may be gone.
struct EndOnDrop(Arc<Life>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn greeting(config: &StoreConfig) -> RedisConnectionInfo {
    let protocol = match config.resp {
        Resp::V2 => ProtocolVersion::RESP2,
        Resp::V3 => ProtocolVersion::RESP3,
    };
    let mut info = RedisConnectionInfo::default()
        .set_protocol(protocol)
        .set_db(i64::from(config.db))
        .set_skip_set_lib_name();
    if let Some(username) = &config.username {
        info = info.set_username(username);
    }
    if let Some(password) = &config.password {
        info = info.set_password(password.expose());
    }
    info
}

/// Says our name and asks for theirs.
async fn introduce(conn: &mut MultiplexedConnection, config: &StoreConfig) -> Result<(i64, ServerInfo), Cause> {
    let mut pipe = redis::pipe();
    pipe.cmd("CLIENT").arg("ID");
    pipe.cmd("INFO").arg("server");
    pipe.cmd("INFO").arg("replication");
    let replies = conn.send_packed_commands(&pipe, 0, pipe.len()).await.map_err(cause)?;
    if let Some(wanted) = &config.client_name {
        name(conn, wanted).await?;
    }
    let mut replies = replies.into_iter();
    let id = match replies.next() {
        Some(Value::Int(id)) => id,
        Some(Value::ServerError(error)) => return Err(cause(RedisError::from(error))),
        _ => 0,
    };
    // A user without the right to `INFO` still gets a connection, of an unknown generation.
    let info: String = replies.take(2).map(info::text).collect();
    Ok((id, ServerInfo::parse(&info)))
}

/// Gives the connection the name that `CLIENT LIST` shows.
pub(super) async fn name(conn: &mut MultiplexedConnection, name: &str) -> Result<(), Cause> {
    let mut set = redis::cmd("CLIENT");
    set.arg("SETNAME").arg(name);
    match conn.send_packed_command(&set).await.map_err(cause)? {
        Value::ServerError(error) => Err(cause(io::Error::other(format!(
            "the server refuses `client_name`: {error}"
        )))),
        _ => Ok(()),
    }
}

/// Ends the connection before this one, so that what is stuck on it cannot run after what comes now.
///
/// Ids start again with the server: an id of an earlier run would hit a stranger.
async fn bury(conn: &mut MultiplexedConnection, previous: &Previous, server: &ServerInfo) -> Result<(), Cause> {
    if previous.generation.run_id.is_empty() || previous.generation.run_id != server.generation.run_id {
        return Ok(());
    }
    let mut kill = redis::cmd("CLIENT");
    kill.arg("KILL").arg("ID").arg(previous.id);
    // 0 if the server had noticed the end by itself.
    match conn.send_packed_command(&kill).await.map_err(cause)? {
        Value::ServerError(error) => {
            tracing::warn!(%error, "the server refuses CLIENT KILL: requests stuck on a lost connection may run late");
        }
        _ => tracing::debug!(id = previous.id, "ended the connection before this one"),
    }
    Ok(())
}

impl Link {
    /// Turns tracking on, and checks that it is.
    pub(super) async fn track(&self, clock: &Clock) -> Result<(), Cause> {
        let sent = clock.monotonic();
        let mut pipe = redis::pipe();
        pipe.cmd("CLIENT").arg("TRACKING").arg("ON").arg("NOLOOP");
        pipe.cmd("CLIENT").arg("TRACKINGINFO");
        let replies = self.conn().send_packed_commands(&pipe, 0, 2).await.map_err(cause)?;
        let mut replies = replies.into_iter();
        if let Some(Value::ServerError(error)) = replies.next() {
            return Err(cause(RedisError::from(error)));
        }
        match replies.next() {
            Some(info) if has_flags(&info, &["on", "noloop"]) => {
                self.set_tracked(sent);
                Ok(())
            }
            other => Err(cause(io::Error::other(format!(
                "the server does not track as asked: {other:?}"
            )))),
        }
    }
}

/// Whether the flags in the reply of `CLIENT TRACKINGINFO` hold all of these.
fn has_flags(info: &Value, wanted: &[&str]) -> bool {
    let Some(mut pairs) = info.as_map_iter() else {
        return false;
    };
    let is = |value: &Value, word: &str| match value {
        Value::BulkString(bytes) => bytes == word.as_bytes(),
        Value::SimpleString(text) => text == word,
        _ => false,
    };
    let flags = pairs
        .find(|(name, _)| is(name, "flags"))
        .and_then(|(_, flags)| flags.as_sequence());
    flags.is_some_and(|flags| wanted.iter().all(|word| flags.iter().any(|flag| is(flag, word))))
}

/// Takes the pushes of a shared connection, in the task that reads it.
struct Pushes {
    life: Arc<Life>,
    listeners: Arc<Listeners>,
}

impl AsyncPushSender for Pushes {
    fn send(&self, push: PushInfo) -> Result<(), SendError> {
        match push.kind {
            PushKind::Invalidate => self.listeners.pushed(&push),
            PushKind::Disconnection => self.life.end(),
            _ => {}
        }
        Ok(())
    }
}

pub(super) fn too_slow(limit: Duration) -> Cause {
    let text = format!("no connection within {limit:?}; raise `connect_timeout`");
    cause(io::Error::new(io::ErrorKind::TimedOut, text))
}

pub(super) fn cause(error: impl Error + Send + Sync + 'static) -> Cause {
    Arc::new(error)
}
