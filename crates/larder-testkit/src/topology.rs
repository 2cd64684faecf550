//! One test on every store: the embedded engine, the engine served over TCP, and a real redis-server.
//!
//! A test states times in units of 50 ms. Where the clock can be moved, on the engine, [`Topology::advance`] moves
//! it; on redis-server it waits. So a test reads the same, and only the real server costs real time.

use std::{fmt, future::Future, time::Duration};

use larder_base::Clock;
use larder_engine::{
    Engine,
    serve::{ServeConfig, Server},
};
use larder_store::{Store, StoreConfig};

use crate::{RedisServer, UNIT, Wire};

/// The variable that keeps [`for_each_topology`] to some of them: `LARDER_TOPOLOGY=embedded,serve`.
pub const TOPOLOGY_VARIABLE: &str = "LARDER_TOPOLOGY";

/// How often other tasks get their turn between two units, so that what is due in one runs before the next begins.
const TURNS_PER_UNIT: u32 = 32;

/// How much of real time a unit takes in [`Topology::while_time_passes`] on a clock that is moved.
const PACE: Duration = Duration::from_millis(20);

/// Real time for a first connection over loopback, which takes a millisecond.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// What a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An engine in this process, on a clock that the test moves.
    Embedded,
    /// The same engine behind a TCP port.
    Serve,
    /// A private redis-server, on the machine's clock.
    Redis,
}

impl Kind {
    /// All of them, the fastest first.
    pub const ALL: [Self; 3] = [Self::Embedded, Self::Serve, Self::Redis];

    /// Those that `LARDER_TOPOLOGY` names; all of them where it is not set.
    ///
    /// # Panics
    /// If it names none.
    #[must_use]
    pub fn chosen() -> Vec<Self> {
        let chosen: Vec<Self> = Self::ALL.into_iter().filter(|kind| is_chosen(*kind)).collect();
        assert!(
            !chosen.is_empty(),
            "{TOPOLOGY_VARIABLE} names none of embedded, serve, redis"
        );
        chosen
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Serve => "serve",
            Self::Redis => "redis",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A fresh, empty store of one kind, with as many clients as a test wants.
#[derive(Debug)]
pub struct Topology {
    backend: Backend,
    clock: Clock,
    store: Store,
}

#[derive(Debug)]
enum Backend {
    Embedded(Engine),
    Serve { engine: Engine, server: Server },
    Redis(RedisServer),
}

impl Topology {
    /// Starts an empty one.
    ///
    /// # Panics
    /// If a server does not start.
    pub async fn start(kind: Kind) -> Self {
        let (backend, clock) = match kind {
            Kind::Embedded => {
                let clock = Clock::manual().0;
                (Backend::Embedded(engine(&clock)), clock)
            }
            Kind::Serve => {
                let clock = Clock::manual().0;
                let engine = engine(&clock);
                let bind = ServeConfig::new().bind("127.0.0.1:0");
                let server = Server::start(engine.clone(), bind)
                    .await
                    .expect("loopback has a free port");
                (Backend::Serve { engine, server }, clock)
            }
            Kind::Redis => (Backend::Redis(RedisServer::start().await), Clock::system()),
        };
        let store = connect(&backend, &clock).await;
        Self { backend, clock, store }
    }

    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match &self.backend {
            Backend::Embedded(_) => Kind::Embedded,
            Backend::Serve { .. } => Kind::Serve,
            Backend::Redis(_) => Kind::Redis,
        }
    }

    /// The test's first client; every call hands out the same one.
    pub async fn store(&self) -> Store {
        self.store.clone()
    }

    /// One more client, as another process has its own.
    ///
    /// # Panics
    /// If the server is gone.
    pub async fn another_store(&self) -> Store {
        connect(&self.backend, &self.clock).await
    }

    /// A bare client, to see or to damage what is stored.
    ///
    /// # Panics
    /// If the server is gone.
    #[must_use]
    pub fn wire(&self) -> Wire {
        match &self.backend {
            Backend::Embedded(engine) => Wire::embedded(engine),
            Backend::Serve { .. } | Backend::Redis(_) => Wire::tcp(self.port().expect("a server has a port")),
        }
    }

    /// Where it listens; `None` if it does not.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match &self.backend {
            Backend::Embedded(_) => None,
            Backend::Serve { server, .. } => server.local_addr().map(|addr| addr.port()),
            Backend::Redis(redis) => Some(redis.port()),
        }
    }

    /// The engine, where it is one.
    #[must_use]
    pub fn engine(&self) -> Option<&Engine> {
        match &self.backend {
            Backend::Embedded(engine) | Backend::Serve { engine, .. } => Some(engine),
            Backend::Redis(_) => None,
        }
    }

    /// The redis-server, where it is one.
    #[must_use]
    pub fn redis(&self) -> Option<&RedisServer> {
        match &self.backend {
            Backend::Redis(redis) => Some(redis),
            Backend::Embedded(_) | Backend::Serve { .. } => None,
        }
    }

    /// The clock of the clients, and of the engine.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// `n` units of time: n × 50 ms.
    #[must_use]
    pub fn units(&self, n: u32) -> Duration {
        UNIT * n
    }

    /// Lets `n` units pass, one after another, so that what is due in each happens in its time.
    ///
    /// # Panics
    /// If the server is gone.
    pub async fn advance(&self, n: u32) {
        let Some(hand) = self.clock.as_manual() else {
            self.clock.sleep(UNIT * n).await;
            return;
        };
        for _ in 0..n {
            hand.advance(UNIT);
            for _ in 0..TURNS_PER_UNIT {
                tokio::task::yield_now().await;
            }
            // Over TCP what became due has to travel: an answer to a later request means that it was sent.
            self.store.ping().await.expect("the topology stands while it is used");
        }
    }

    /// What `work` comes to while time passes, unit after unit.
    ///
    /// A clock that is moved knows who sleeps on it, not who waits for an answer on another connection or for a turn on another
    /// thread: such a one it would run away from. So a unit takes a little real time here, less than on a real server.
    ///
    /// # Panics
    /// If the server is gone.
    pub async fn while_time_passes<T>(&self, work: impl Future<Output = T>) -> T {
        let passing = async {
            loop {
                self.advance(1).await;
                if self.clock.as_manual().is_some() {
                    Clock::system().sleep(PACE).await;
                }
            }
        };
        tokio::select! {
            biased;
            done = work => done,
            () = passing => unreachable!("time passes for ever"),
        }
    }
}

fn engine(clock: &Clock) -> Engine {
    Engine::builder().clock(clock.clone()).build()
}

async fn connect(backend: &Backend, clock: &Clock) -> Store {
    let port = match backend {
        Backend::Embedded(engine) => return Store::embedded(engine.clone()),
        Backend::Serve { server, .. } => server.local_addr().expect("it was bound to TCP").port(),
        Backend::Redis(redis) => redis.port(),
    };
    let config = StoreConfig::tcp("127.0.0.1", port).clock(clock.clone());
    // On a clock that stands still a client waits for ever before its second attempt.
    let connected = tokio::time::timeout(CONNECT_DEADLINE, Store::connect(config)).await;
    connected
        .expect("the server answers at once")
        .expect("the server was just started")
}

/// What a test body gives back: nothing, or a result whose error fails it.
pub trait Outcome {
    /// Fails the test if this is an error.
    fn check(self, kind: Kind);
}

impl Outcome for () {
    fn check(self, _kind: Kind) {}
}

impl<E: fmt::Debug> Outcome for Result<(), E> {
    fn check(self, kind: Kind) {
        if let Err(error) = self {
            panic!("on {kind}: {error:?}");
        }
    }
}

/// Runs `test` on a fresh topology of each kind, one after another, each on a runtime of its own.
///
/// A test is an ordinary `#[test]`, not an async one. What it says when it fails ends with the kind it failed on.
///
/// # Panics
/// If the test fails on one of them, or `LARDER_TOPOLOGY` names none.
///
/// ```no_run
/// larder_testkit::for_each_topology(async |t: larder_testkit::Topology| {
///     use redis::AsyncCommands as _;
///     let mut store = t.store().await;
///     store.pset_ex::<_, _, ()>("k", "v", t.units(4).as_millis() as u64).await?;
///     t.advance(5).await;
///     assert!(!store.exists::<_, bool>("k").await?);
///     Ok::<_, redis::RedisError>(())
/// });
/// ```
pub fn for_each_topology<F, R>(test: F)
where
    F: AsyncFn(Topology) -> R,
    R: Outcome,
{
    for kind in Kind::chosen() {
        let _says = OnFailure(kind);
        on(async { test(Topology::start(kind).await).await }).check(kind);
    }
}

/// Runs `work` on a runtime of its own, with two threads, so that tasks really run beside each other.
fn on<F: Future>(work: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime can be built").block_on(work)
}

fn is_chosen(kind: Kind) -> bool {
    let Ok(names) = std::env::var(TOPOLOGY_VARIABLE) else {
        return true;
    };
    names.split(',').any(|name| name.trim() == kind.name())
}

/// Names the topology if the test panics on it.
struct OnFailure(Kind);

impl Drop for OnFailure {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this was on {} ({TOPOLOGY_VARIABLE}={})", self.0, self.0);
        }
    }
}
