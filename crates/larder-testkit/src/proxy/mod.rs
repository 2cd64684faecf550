//! A TCP proxy that delays, holds back, swallows and cuts, for the faults that a network adds to a healthy server.
//!
//! It moves bytes and knows no protocol. It never sends a byte twice: neither does TCP. What waits in it is bounded, and
//! then it stops reading, so that a sender feels a slow network as it would feel a real one.
//!
//! | fault | method | what the ends see |
//! |---|---|---|
//! | latency | [`delay_requests`](Proxy::delay_requests), [`delay_replies`](Proxy::delay_replies) | everything comes later, in order |
//! | stall | [`hold_requests`](Proxy::hold_requests), [`hold_replies`](Proxy::hold_replies) | nothing comes, until [`let_pass`](Proxy::let_pass) |
//! | black hole | [`swallow_requests`](Proxy::swallow_requests), [`swallow_replies`](Proxy::swallow_replies) | nothing comes in one direction, not even the end of a connection |
//! | half-close | [`end_requests`](Proxy::end_requests), [`end_replies`](Proxy::end_replies) | the end of the stream, in one direction |
//! | tiny writes | [`slice`](Proxy::slice) | a message in pieces |
//! | close, reset | [`cut`](Proxy::cut), [`reset`](Proxy::reset) | FIN, RST |
//! | nobody there | [`refuse`](Proxy::refuse) | new connections are reset |
//! | failover | [`point_at`](Proxy::point_at) | new connections reach another server |
//!
//! [`normal`](Proxy::normal) ends all of it.

mod carry;
mod weather;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use larder_base::Tasks;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use self::weather::{Slices, Weather};

/// A proxy on a free loopback port in front of another one. Dropping it closes every connection.
///
/// ```
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
/// use std::time::Duration;
/// use larder_testkit::{Proxy, RedisServer};
/// use redis::AsyncCommands as _;
///
/// let server = RedisServer::start().await;
/// let proxy = Proxy::start(server.port()).await?;
/// let mut client = redis::Client::open(proxy.url())?.get_multiplexed_async_connection().await?;
///
/// proxy.hold_replies();
/// let asked = tokio::time::timeout(Duration::from_millis(20), client.incr::<_, _, u64>("n", 1)).await;
/// assert!(asked.is_err(), "the server has counted, and its answer is on the way");
///
/// proxy.normal();
/// assert_eq!(client.get::<_, u64>("n").await?, 1);
/// # Ok::<_, Box<dyn std::error::Error>>(()) })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    weather: watch::Sender<Weather>,
    open: Arc<AtomicUsize>,
    tasks: Tasks,
}

impl Proxy {
    /// Starts a proxy in front of `127.0.0.1:upstream` in fair weather.
    ///
    /// # Errors
    /// If no loopback port is free.
    pub async fn start(upstream: u16) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (weather, seen) = watch::channel(Weather::fair(upstream));
        let (tasks, open) = (Tasks::new(), Arc::default());
        let accepting = accept(listener, seen, Arc::clone(&open), tasks.clone());
        tasks.spawn("proxy accept", accepting);
        Ok(Self {
            port,
            weather,
            open,
            tasks,
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

    /// Connections that it carries now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Every request arrives `delay` later; zero ends it.
    pub fn delay_requests(&self, delay: Duration) {
        self.change(|weather| weather.requests.delay = delay);
    }

    /// Every reply and push comes `delay` later; zero ends it.
    pub fn delay_replies(&self, delay: Duration) {
        self.change(|weather| weather.replies.delay = delay);
    }

    /// Requests stay in the proxy until [`let_pass`](Self::let_pass): they reach the server late.
    pub fn hold_requests(&self) {
        self.change(|weather| weather.requests.hold = true);
    }

    /// Replies and pushes stay in the proxy until [`let_pass`](Self::let_pass): the server did what was asked.
    pub fn hold_replies(&self) {
        self.change(|weather| weather.replies.hold = true);
    }

    /// Ends holding back, in both directions.
    pub fn let_pass(&self) {
        self.change(|weather| {
            weather.requests.hold = false;
            weather.replies.hold = false;
        });
    }

    /// Requests vanish, as does the client's closing: the server sees a client that is idle.
    ///
    /// A connection that lost something this way is reset by [`normal`](Self::normal): its stream has a hole.
    pub fn swallow_requests(&self) {
        self.change(|weather| weather.requests.swallow = true);
    }

    /// Replies and pushes vanish, as does the server's closing: the client sees a server that is silent.
    ///
    /// A connection that lost something this way is reset by [`normal`](Self::normal): its stream has a hole.
    pub fn swallow_replies(&self) {
        self.change(|weather| weather.replies.swallow = true);
    }

    /// Half-closes every connection: the server reads the end of the stream, its replies still arrive.
    pub fn end_requests(&self) {
        self.change(|weather| weather.requests.ended += 1);
    }

    /// Half-closes every connection: the client reads the end of the stream, its requests still arrive.
    pub fn end_replies(&self) {
        self.change(|weather| weather.replies.ended += 1);
    }

    /// Writes at most `bytes` at a time, and pauses after each, in both directions; zero bytes ends it. Without a pause
    /// whoever reads late may still find several slices at once.
    pub fn slice(&self, bytes: usize, pause: Duration) {
        let slices = (bytes > 0).then_some(Slices { bytes, pause });
        self.change(|weather| weather.slices = slices);
    }

    /// Closes every connection; what was held back in them is lost.
    pub fn cut(&self) {
        self.change(|weather| weather.cut += 1);
    }

    /// Resets every connection (RST): both ends see an error at once, what was not read is lost.
    pub fn reset(&self) {
        self.change(|weather| weather.reset += 1);
    }

    /// Whether new connections are closed at once, as if nothing listened.
    pub fn refuse(&self, refuse: bool) {
        self.change(|weather| weather.refuse = refuse);
    }

    /// New connections go to `127.0.0.1:upstream`, as an address does that a failover gives to another server. Those that
    /// are open stay where they are.
    pub fn point_at(&self, upstream: u16) {
        self.change(|weather| weather.upstream = upstream);
    }

    /// Fair weather again: what was held back arrives, connections that lost bytes are reset. It keeps pointing where it
    /// does.
    pub fn normal(&self) {
        self.change(Weather::clear_up);
    }

    fn change(&self, change: impl FnOnce(&mut Weather)) {
        self.weather.send_modify(change);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The task that accepts starts others and so holds the owner itself.
        self.tasks.stopping().cancel();
    }
}

async fn accept(listener: TcpListener, seen: watch::Receiver<Weather>, open: Arc<AtomicUsize>, tasks: Tasks) {
    while let Ok((client, _)) = listener.accept().await {
        if seen.borrow().refuse {
            // Without a linger the close is an RST. If that cannot be had, a close is as good.
            let _ = client.set_zero_linger();
            continue;
        }
        tasks.spawn("proxy connection", connect(client, seen.clone(), Open::new(&open)));
    }
}

async fn connect(client: TcpStream, seen: watch::Receiver<Weather>, _counted: Open) -> io::Result<()> {
    // Before the way to the server is there: what happens to all connections happens to this one from now on.
    let born = *seen.borrow();
    let server = TcpStream::connect(("127.0.0.1", born.upstream)).await?;
    carry::carry(client, server, seen, born).await
}

/// One connection, counted as long as it lives.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
