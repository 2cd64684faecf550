//! A server to try scripts on: started for one check, with a clock that is moved or waited for.

use std::time::Duration;

use larder_base::{Clock, Random};
use larder_engine::{
    Engine,
    serve::{ServeConfig, Server as EngineServer},
};
use larder_testkit::{RedisServer, Wire};

use super::{client::Client, scripts::Scripts};

/// What the scripts run on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Backend {
    Redis,
    Embedded,
    Served,
}

enum Server {
    Redis(RedisServer),
    Embedded(Engine),
    Served {
        server: EngineServer,
        /// Its tasks run here, and end with it.
        _runtime: tokio::runtime::Runtime,
    },
}

/// The server, its clock, a first client (`l`), and more clients on demand.
pub(crate) struct Lab {
    server: Server,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    scripts: Scripts,
    pub(crate) l: Client,
}

impl Lab {
    pub(crate) fn new(backend: Backend, scripts: &Scripts) -> Self {
        let (server, clock) = match backend {
            Backend::Redis => (Server::Redis(blocking(RedisServer::start())), Clock::system()),
            Backend::Embedded => {
                let clock = Clock::manual().0;
                (Server::Embedded(Engine::builder().clock(clock.clone()).build()), clock)
            }
            Backend::Served => {
                let clock = Clock::manual().0;
                (serve(Engine::builder().clock(clock.clone()).build()), clock)
            }
        };
        let random = Random::system();
        let l = Client::new(wire(&server), scripts, random.clone());
        Self {
            server,
            clock,
            random,
            scripts: scripts.clone(),
            l,
        }
    }

    /// One more client of the same server and partition, on a connection of its own.
    pub(crate) fn client(&self) -> Client {
        Client::new(wire(&self.server), &self.scripts, self.random.clone())
    }

    /// One more client that is told what changes, as a near tier is.
    pub(crate) fn tracker(&self) -> Client {
        let mut reader = self.client();
        reader.wire.call(&["HELLO", "3"]).expect("the server speaks RESP3");
        reader
            .wire
            .call(&["CLIENT", "TRACKING", "ON", "NOLOOP"])
            .expect("the server tracks");
        reader
    }

    /// Lets `ms` pass on the server's clock: at once where it can be moved.
    pub(crate) fn pass(&self, ms: u64) {
        let span = Duration::from_millis(ms);
        match self.clock.as_manual() {
            Some(hand) => hand.advance(span),
            None => really_wait(span),
        }
    }

    /// What the server's clock shows, in ms.
    pub(crate) fn now_ms(&self) -> f64 {
        self.clock.unix().as_secs_f64() * 1e3
    }
}

fn wire(server: &Server) -> Wire {
    match server {
        Server::Redis(redis) => Wire::tcp(redis.port()),
        Server::Embedded(engine) => Wire::embedded(engine),
        Server::Served { server, .. } => Wire::tcp(server.local_addr().expect("it was bound to TCP").port()),
    }
}

fn serve(engine: Engine) -> Server {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime can be built");
    let config = ServeConfig::new().bind("127.0.0.1:0");
    let server = runtime
        .block_on(EngineServer::start(engine, config))
        .expect("loopback has a free port");
    Server::Served {
        server,
        _runtime: runtime,
    }
}

/// The clock of a real server cannot be moved.
#[expect(
    clippy::disallowed_methods,
    reason = "the time of a real server has to pass; no runtime is blocked here"
)]
pub(crate) fn really_wait(span: Duration) {
    std::thread::sleep(span);
}

fn blocking<F: Future>(work: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(work)
}
