//! The HTTP side: `GET /metrics`, one answer per connection.
//!
//! Whoever can connect could sit on the port: a connection that asks nothing is closed soon, and where all places are
//! taken the oldest of those makes room, so that a scraper always gets in.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header, service,
};
use hyper_util::rt::TokioIo;
use larder_base::{Clock, Tasks};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

/// Connections at one time: there are one or two scrapers, and each asks every few seconds.
const CONNECTIONS_MAX: usize = 16;

/// How long a scrape may take, from the connection to the last byte: Prometheus itself gives up after 10 s.
const SCRAPE_MAX: Duration = Duration::from_secs(10);

/// How long a connection may take to ask: a scraper does with its first packet.
const ASK_MAX: Duration = Duration::from_secs(2);

/// How long a client may take to read its answer while it still sends: closed before that, it would get a reset.
const LINGER_MAX: Duration = Duration::from_secs(2);

/// The longest request head that is read: a scraper's has some 300 bytes.
const HEAD_MAX: usize = 16 * 1024;

/// Before the next connection is accepted after the system refused one (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Metrics being served. Dropping it ends that, within the next await of its tasks.
#[derive(Debug)]
#[must_use = "dropping it ends the serving"]
pub struct Endpoint {
    address: SocketAddr,
    clock: Clock,
    tasks: Tasks,
}

impl Endpoint {
    pub(super) fn start(listener: TcpListener) -> io::Result<Self> {
        Self::start_by(listener, Clock::system())
    }

    fn start_by(listener: TcpListener, clock: Clock) -> io::Result<Self> {
        let (address, tasks) = (listener.local_addr()?, Tasks::new());
        // The task must not own itself: it would then never be dropped.
        let scrapes = Tasks::new();
        tasks.spawn("metrics endpoint", accept(listener, clock.clone(), scrapes));
        Ok(Self { address, clock, tasks })
    }

    /// Where it listens, with the port that was free if 0 was asked for.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Ends the serving and waits at most `deadline` for it; `false` if it had not ended by then.
    ///
    /// # Cancel safety
    /// The stop signal has been given at the first poll; only the wait is lost.
    pub async fn shutdown(self, deadline: Duration) -> bool {
        self.tasks.shutdown(&self.clock, deadline).await
    }
}

/// One connection, as the task that accepts them sees it.
#[derive(Debug, Default)]
struct Guest {
    /// Given to end it; given by itself when it has ended.
    end: CancellationToken,
    has_asked: AtomicBool,
}

/// The connections that are open, oldest first.
#[derive(Debug, Default)]
struct Guests(VecDeque<Arc<Guest>>);

impl Guests {
    /// Takes in one more; where there is no place, for the oldest that has asked nothing, or else for the oldest.
    fn admit(&mut self) -> Arc<Guest> {
        self.0.retain(|guest| !guest.end.is_cancelled());
        if self.0.len() >= CONNECTIONS_MAX {
            // Relaxed: what is read a moment too early ends a scrape that can be asked for again.
            let idle = self.0.iter().position(|guest| !guest.has_asked.load(Ordering::Relaxed));
            if let Some(oldest) = self.0.remove(idle.unwrap_or(0)) {
                oldest.end.cancel();
            }
        }
        let guest = Arc::<Guest>::default();
        self.0.push_back(guest.clone());
        guest
    }
}

async fn accept(listener: TcpListener, clock: Clock, scrapes: Tasks) {
    let mut guests = Guests::default();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (guest, clock) = (guests.admit(), clock.clone());
                scrapes.spawn("scrape", async move {
                    let _ended = guest.end.clone().drop_guard();
                    let scrape = clock.timeout(SCRAPE_MAX, scrape(stream, &guest, &clock));
                    guest.end.run_until_cancelled(scrape).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept a scrape");
                clock.sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn scrape(mut stream: TcpStream, guest: &Guest, clock: &Clock) {
    let mut http = hyper::server::conn::http1::Builder::new();
    let asked = |request| {
        guest.has_asked.store(true, Ordering::Relaxed);
        answer(request)
    };
    let serving = http
        .keep_alive(false)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(&mut stream), service::service_fn(asked));
    tokio::select! {
        served = serving => if let Err(error) = served {
            tracing::debug!(%error, "a scrape ended early");
        },
        () = silence(guest, clock) => return,
    }
    clock.timeout(LINGER_MAX, read_away(&mut stream)).await;
}

/// Ends once a connection has taken too long to ask.
async fn silence(guest: &Guest, clock: &Clock) {
    clock.sleep(ASK_MAX).await;
    if guest.has_asked.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

/// Reads what a client still sends, such as the rest of a head that was too long, until it has read its answer and closes.
async fn read_away(stream: &mut TcpStream) {
    let mut rest = [0; 4096];
    while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    Ok(match request.uri().path() {
        "/metrics" if is_read => metrics(),
        "/metrics" => plain(StatusCode::METHOD_NOT_ALLOWED, "metrics are read with GET\n"),
        _ => plain(StatusCode::NOT_FOUND, "metrics are at /metrics\n"),
    })
}

fn metrics() -> Response<Full<Bytes>> {
    match super::render() {
        Ok(text) => plain(StatusCode::OK, text),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    /// The text format of Prometheus.
    const TEXT: header::HeaderValue = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, TEXT);
    response
}

#[cfg(test)]
mod tests {
    use larder_base::ManualClock;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// Far beyond what anything here takes.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// An endpoint whose time stands still unless it is moved: whatever it answers, it answers without waiting.
    async fn start() -> (Endpoint, ManualClock) {
        let (clock, hand) = Clock::manual();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        (Endpoint::start_by(listener, clock).expect("it listens"), hand)
    }

    async fn connect(endpoint: &Endpoint) -> TcpStream {
        TcpStream::connect(endpoint.local_addr()).await.expect("it listens")
    }

    /// What comes on `stream` until it is closed.
    async fn answer(stream: &mut TcpStream) -> String {
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        let read = Clock::system()
            .timeout(PATIENCE, read)
            .await
            .expect("it is closed in the end");
        read.expect("closed in order, and not reset");
        answer
    }

    async fn scrape(endpoint: &Endpoint) -> String {
        let mut stream = connect(endpoint).await;
        stream
            .write_all(b"GET /none HTTP/1.1\r\nHost: larder\r\n\r\n")
            .await
            .expect("it reads");
        answer(&mut stream).await
    }

    #[tokio::test]
    async fn those_who_ask_nothing_keep_no_scraper_out() {
        let (endpoint, _hand) = start().await;
        let mut idle = Vec::new();
        for i in 0..3 * CONNECTIONS_MAX {
            let mut stream = connect(&endpoint).await;
            // Half of them ask half a question.
            let part: &[u8] = if i % 2 == 0 { b"GET /metr" } else { b"" };
            stream.write_all(part).await.expect("it reads");
            idle.push(stream);
        }
        let answered = scrape(&endpoint).await;
        assert!(answered.starts_with("HTTP/1.1 404"), "{answered}");
    }

    #[tokio::test]
    async fn who_asks_nothing_is_sent_away_in_the_end() {
        let (endpoint, hand) = start().await;
        let mut idle = connect(&endpoint).await;
        // Its task waits by the clock once it is accepted.
        larder_testkit::eventually(PATIENCE, async || hand.next_due() == Some(ASK_MAX)).await;
        hand.advance(ASK_MAX);
        assert_eq!(answer(&mut idle).await, "");
    }

    /// A client that sends all before it reads, as most do, sees the answer and no reset.
    #[tokio::test]
    async fn a_head_that_is_too_long_is_answered() {
        let (endpoint, _hand) = start().await;
        let mut stream = connect(&endpoint).await;
        let head = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(5_000_000));
        stream.write_all(head.as_bytes()).await.expect("it is read to the end");
        stream.shutdown().await.expect("still open");
        let answered = answer(&mut stream).await;
        assert!(answered.starts_with("HTTP/1.1 431"), "{answered}");
    }

    #[test]
    fn the_oldest_that_has_not_asked_makes_room() {
        let mut guests = Guests::default();
        let open: Vec<_> = (0..CONNECTIONS_MAX).map(|_| guests.admit()).collect();
        open[0].has_asked.store(true, Ordering::Relaxed);
        let ended = || open.iter().position(|guest| guest.end.is_cancelled());
        assert_eq!(ended(), None, "there is a place for each");
        guests.admit();
        assert_eq!(ended(), Some(1), "the first is being answered");
        open.iter()
            .for_each(|guest| guest.has_asked.store(true, Ordering::Relaxed));
        guests
            .0
            .iter()
            .for_each(|guest| guest.has_asked.store(true, Ordering::Relaxed));
        guests.admit();
        assert_eq!(ended(), Some(0), "where all are, the oldest");
        assert_eq!(guests.0.len(), CONNECTIONS_MAX);
    }
}
