//! A TCP proxy that delays, holds back and cuts, for the faults that a network adds to a healthy server.
//!
//! It moves bytes and knows no protocol. It never sends a byte twice: neither does TCP.

use std::{io, time::Duration};

use larder_base::{Clock, Tasks};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What happens to the bytes that pass.
#[derive(Clone, Copy, Debug, Default)]
struct Weather {
    delay: Duration,
    hold_requests: bool,
    hold_replies: bool,
    /// Connections of an earlier number are closed.
    cut: u64,
    refuse: bool,
}

/// A proxy on a free loopback port in front of another one. Dropping it closes every connection.
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use std::time::Duration;
/// use larder_testkit::{Proxy, RedisServer};
/// let server = RedisServer::start().await;
/// let proxy = Proxy::start(server.port()).await?;
/// proxy.delay_replies(Duration::from_millis(300));
/// let client = redis::Client::open(proxy.url());
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    weather: watch::Sender<Weather>,
    _tasks: Tasks,
}

impl Proxy {
    /// Starts a proxy in front of `127.0.0.1:upstream` in fair weather.
    ///
    /// # Errors
    /// If no loopback port is free.
    pub async fn start(upstream: u16) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (weather, seen) = watch::channel(Weather::default());
        let tasks = Tasks::new();
        tasks.spawn("proxy accept", accept(listener, upstream, seen, tasks.clone()));
        Ok(Self {
            port,
            weather,
            _tasks: tasks,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `redis://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Every reply comes `delay` later; zero ends it.
    pub fn delay_replies(&self, delay: Duration) {
        self.weather.send_modify(|weather| weather.delay = delay);
    }

    /// Requests stay in the proxy until [`let_pass`](Self::let_pass): they reach the server late.
    pub fn hold_requests(&self) {
        self.weather.send_modify(|weather| weather.hold_requests = true);
    }

    /// Replies and pushes stay in the proxy until [`let_pass`](Self::let_pass): the server did what was asked.
    pub fn hold_replies(&self) {
        self.weather.send_modify(|weather| weather.hold_replies = true);
    }

    /// Ends holding back, in both directions.
    pub fn let_pass(&self) {
        self.weather.send_modify(|weather| {
            weather.hold_requests = false;
            weather.hold_replies = false;
        });
    }

    /// Closes every connection; what was held back in them is lost.
    pub fn cut(&self) {
        self.weather.send_modify(|weather| weather.cut += 1);
    }

    /// Whether new connections are closed at once, as if nothing listened.
    pub fn refuse(&self, refuse: bool) {
        self.weather.send_modify(|weather| weather.refuse = refuse);
    }
}

async fn accept(listener: TcpListener, upstream: u16, seen: watch::Receiver<Weather>, tasks: Tasks) {
    while let Ok((client, _)) = listener.accept().await {
        if !seen.borrow().refuse {
            tasks.spawn("proxy connection", carry(client, upstream, seen.clone()));
        }
    }
}

/// Carries one connection until either end closes it or it is cut.
async fn carry(client: TcpStream, upstream: u16, seen: watch::Receiver<Weather>) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", upstream)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let born = seen.borrow().cut;
    let mut until_cut = seen.clone();
    tokio::select! {
        ended = pump(from_client, to_server, seen.clone(), Direction::Requests) => ended,
        ended = pump(from_server, to_client, seen, Direction::Replies) => ended,
        _ = until_cut.wait_for(|weather| weather.cut != born) => Ok(()),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Requests,
    Replies,
}

async fn pump<R, W>(mut from: R, mut to: W, mut seen: watch::Receiver<Weather>, direction: Direction) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let clock = Clock::system();
    let mut part = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut part).await?;
        if read == 0 {
            return Ok(());
        }
        let delay = seen.borrow().delay;
        if direction == Direction::Replies && !delay.is_zero() {
            clock.sleep(delay).await;
        }
        let held = |weather: &Weather| match direction {
            Direction::Requests => weather.hold_requests,
            Direction::Replies => weather.hold_replies,
        };
        if seen.wait_for(|weather| !held(weather)).await.is_err() {
            return Ok(());
        }
        to.write_all(&part[..read]).await?;
    }
}
