//! Who may share an answer: a reply that is late must not reach a caller who came after a newer value was acknowledged.
//!
//! One process reads; its reply is held back while another writes and invalidates; then one more caller of the first
//! process joins. It must not get what the held reply carries.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_base::Random;
use larder_cache::Cache;
use larder_engine::Engine;
use larder_store::{Fate, Passage, Store, Stuck, Transit};
use larder_testkit::{Proxy, RedisServer, eventually};

use super::subject::Larder;

/// A network that, while it is closed, holds the first reply to one command.
#[derive(Debug)]
struct Gate {
    command: &'static str,
    closed: AtomicBool,
    held: AtomicU64,
}

impl Gate {
    fn new(command: &'static str) -> Arc<Self> {
        Arc::new(Self {
            command,
            closed: AtomicBool::new(false),
            held: AtomicU64::new(0),
        })
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    fn open(&self) {
        self.closed.store(false, Ordering::Relaxed);
    }

    /// Waits until a reply is held.
    async fn holds_one(&self) {
        while self.held.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
    }
}

impl Transit for Gate {
    fn request<'a>(&'a self, _command: &'a str) -> Passage<'a, Fate> {
        Box::pin(async { Fate::Arrives })
    }

    fn reply<'a>(&'a self, command: &'a str) -> Passage<'a, ()> {
        Box::pin(async move {
            let holds = command == self.command && self.closed.load(Ordering::Relaxed);
            if holds && self.held.fetch_add(1, Ordering::Relaxed) == 0 {
                while self.closed.load(Ordering::Relaxed) {
                    tokio::task::yield_now().await;
                }
            }
        })
    }

    fn stuck(&self, _request: Stuck) {}
}

/// The process whose replies are held, another one, and the row that both read.
struct Scene {
    gate: Arc<Gate>,
    here: Larder,
    there: Larder,
    row: Arc<AtomicU64>,
}

impl Scene {
    async fn new(holding: &'static str) -> Self {
        let (engine, gate) = (Engine::new(), Gate::new(holding));
        let here = Store::embedded_through(engine.clone(), Random::system(), gate.clone());
        let (here, there) = (cache(&here).await, cache(&Store::embedded(engine)).await);
        Self {
            gate,
            here,
            there,
            row: Arc::new(AtomicU64::new(1)),
        }
    }

    /// A caller of the held process, on a task of its own.
    fn caller(&self) -> tokio::task::JoinHandle<u64> {
        let (here, row) = (self.here.clone(), self.row.clone());
        tokio::spawn(async move { read(&here, &row).await })
    }

    /// The other process writes, and has it acknowledged.
    async fn write(&self) {
        self.row.store(2, Ordering::Relaxed);
        self.there.invalidate(&1).await.expect("the store is up");
    }

    /// Holds a reply, writes, lets one more caller join, lets the reply go: what the early and the late caller got.
    async fn play(&self) -> (u64, u64) {
        self.gate.close();
        let early = self.caller();
        self.gate.holds_one().await;
        self.write().await;
        let late = self.caller();
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        self.gate.open();
        (early.await.expect("no panic"), late.await.expect("no panic"))
    }
}

async fn cache(store: &Store) -> Larder {
    let builder = Cache::builder("join").store(store).ttl(Duration::from_secs(60));
    builder.build().await.expect("the settings agree")
}

async fn read(cache: &Larder, row: &AtomicU64) -> u64 {
    let load = || async { Ok::<_, std::convert::Infallible>(row.load(Ordering::Relaxed)) };
    *cache.get_or_load(&1, load).await.expect("the store is up")
}

#[tokio::test]
pub(crate) async fn a_caller_after_an_acknowledged_write_does_not_share_a_late_hit() {
    let scene = Scene::new("get").await;
    assert_eq!(read(&scene.there, &scene.row).await, 1);
    assert_eq!(
        scene.play().await,
        (1, 2),
        "who asked before the write may have what was there"
    );
}

#[tokio::test]
pub(crate) async fn a_caller_after_an_acknowledged_write_does_not_share_a_late_fast_hit() {
    let scene = Scene::new("MGET").await;
    assert_eq!(read(&scene.there, &scene.row).await, 1);
    // Hits teach the cache that asking without a script pays.
    for _ in 0..20 {
        read(&scene.here, &scene.row).await;
    }
    assert_eq!(scene.play().await, (1, 2));
}

#[tokio::test]
pub(crate) async fn a_caller_after_an_acknowledged_write_does_not_share_a_late_fill() {
    let scene = Scene::new("fill").await;
    assert_eq!(scene.play().await, (1, 2));
}

/// The write comes between the load and the fill, which is refused; the refusal is late as well.
#[tokio::test]
pub(crate) async fn a_caller_after_an_acknowledged_write_does_not_share_a_refused_load() {
    let scene = Scene::new("fill").await;
    scene.gate.close();
    let (here, row, there) = (scene.here.clone(), scene.row.clone(), scene.there.clone());
    let early = tokio::spawn(async move {
        let load = || async {
            let seen = row.load(Ordering::Relaxed);
            row.store(2, Ordering::Relaxed);
            there.invalidate(&1).await.expect("the store is up");
            Ok::<_, std::convert::Infallible>(seen)
        };
        *here.get_or_load(&1, load).await.expect("the store is up")
    });
    scene.gate.holds_one().await;
    let late = scene.caller();
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    scene.gate.open();
    assert_eq!((early.await.expect("no panic"), late.await.expect("no panic")), (1, 2));
    assert_eq!(scene.here.stats().fills_rejected(), 1);
}

/// As before, but the caller comes while the load goes on: it could have shared a fill that was accepted.
#[tokio::test]
pub(crate) async fn a_caller_during_a_load_does_not_share_its_refusal() {
    let scene = Scene::new("fill").await;
    let late = Arc::new(parking_lot::Mutex::new(None));
    let load = || async {
        let seen = scene.row.load(Ordering::Relaxed);
        scene.write().await;
        *late.lock() = Some(scene.caller());
        // Until the caller has joined: it is the next to run.
        tokio::task::yield_now().await;
        Ok::<_, std::convert::Infallible>(seen)
    };
    let early = *scene.here.get_or_load(&1, load).await.expect("the store is up");
    let late = late.lock().take().expect("the load has run");
    assert_eq!((early, late.await.expect("no panic")), (1, 2));
}

/// An invalidation of this process detaches what runs: later callers need not even wait for it.
#[tokio::test]
pub(crate) async fn a_caller_after_an_own_invalidation_does_not_wait_for_a_late_hit() {
    let scene = Scene::new("get").await;
    assert_eq!(read(&scene.there, &scene.row).await, 1);
    scene.gate.close();
    let early = scene.caller();
    scene.gate.holds_one().await;
    scene.row.store(2, Ordering::Relaxed);
    scene.here.invalidate(&1).await.expect("the store is up");
    let late = scene.caller();
    // Whoever waits for nothing but its turn needs few of them.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(late.is_finished(), "it waits");
    assert_eq!(late.await.expect("no panic"), 2);
    scene.gate.open();
    assert_eq!(early.await.expect("no panic"), 1);
}

/// The same with a real server, behind a proxy that holds replies back.
#[tokio::test]
pub(crate) async fn a_late_reply_of_a_real_server_is_not_shared_either() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await.expect("loopback has a free port");
    let far = Store::open(&proxy.url()).await.expect("the server is up");
    let near = Store::open(&server.url()).await.expect("the server is up");
    let (here, there) = (cache(&far).await, cache(&near).await);
    let row = Arc::new(AtomicU64::new(1));
    assert_eq!(read(&there, &row).await, 1);

    proxy.hold_replies();
    let caller = |here: &Larder| {
        let (here, row) = (here.clone(), row.clone());
        tokio::spawn(async move { read(&here, &row).await })
    };
    let commands = || server.cli(&["INFO", "commandstats"]);
    let before = commands();
    let early = caller(&here);
    eventually(Duration::from_secs(5), async || asked(&before) < asked(&commands())).await;
    row.store(2, Ordering::Relaxed);
    there.invalidate(&1).await.expect("the store is up");
    let late = caller(&here);
    tokio::task::yield_now().await;
    proxy.let_pass();
    assert_eq!((early.await.expect("no panic"), late.await.expect("no panic")), (1, 2));
}

/// How many scripts a server has run, by its own account.
fn asked(stats: &str) -> u64 {
    let line = stats
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    line.and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or(0)
}
