//! The HTTP side: `GET /metrics`, one answer per connection.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header, service,
};
use hyper_util::rt::TokioIo;
use larder_base::{Clock, Tasks};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

/// Scrapes at one time: there are one or two scrapers, and each asks every few seconds.
const SCRAPES_MAX: usize = 16;

/// How long a scrape may take, from the connection to the last byte: Prometheus itself gives up after 10 s.
const SCRAPE_MAX: Duration = Duration::from_secs(10);

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
        let (address, clock, tasks) = (listener.local_addr()?, Clock::system(), Tasks::new());
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

async fn accept(listener: TcpListener, clock: Clock, scrapes: Tasks) {
    let places = Arc::new(Semaphore::new(SCRAPES_MAX));
    loop {
        let place = places.clone().acquire_owned().await.expect("never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let clock = clock.clone();
                scrapes.spawn("scrape", async move {
                    clock.timeout(SCRAPE_MAX, scrape(stream)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept a scrape");
                clock.sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn scrape(stream: TcpStream) {
    let mut http = hyper::server::conn::http1::Builder::new();
    let answered = http
        .keep_alive(false)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service::service_fn(answer));
    if let Err(error) = answered.await {
        tracing::debug!(%error, "a scrape ended early");
    }
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
