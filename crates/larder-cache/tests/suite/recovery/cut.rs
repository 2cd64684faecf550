//! A process whose way to the store can be cut, on every topology.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use larder_base::{Clock, Random};
use larder_cache::{Cache, CacheBuilder};
use larder_store::{Fate, Passage, RetryPolicy, Store, StoreConfig, Stuck, Transit};
use larder_testkit::{Proxy, Topology};

use crate::behaviour::subject::meanwhile;

/// How long a condition may take: far more than it does, far less than a TTL that would hide what is missing.
pub(super) const SOON: Duration = Duration::from_secs(20);

/// A client of its own behind a way that can be cut.
pub(super) struct Cut {
    way: Way,
    pub(super) store: Store,
}

enum Way {
    /// To an engine in this process.
    Imagined(Arc<Lossy>),
    /// To a server.
    Proxied(Proxy),
}

/// Loses every request while it is down.
#[derive(Debug, Default)]
struct Lossy {
    down: AtomicBool,
}

impl Transit for Lossy {
    fn request<'a>(&'a self, _command: &'a str) -> Passage<'a, Fate> {
        let down = self.down.load(Ordering::SeqCst);
        Box::pin(async move { if down { Fate::Lost } else { Fate::Arrives } })
    }

    fn reply<'a>(&'a self, _command: &'a str) -> Passage<'a, ()> {
        Box::pin(async {})
    }

    fn stuck(&self, _request: Stuck) {}
}

impl fmt::Debug for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cut").finish_non_exhaustive()
    }
}

impl Cut {
    pub(super) async fn of(t: &Topology) -> Self {
        match t.port() {
            Some(port) => Self::of_port(port).await,
            None => {
                let (engine, way) = (t.engine().expect("it has no port"), Arc::new(Lossy::default()));
                let store = Store::embedded_through(engine.clone(), Random::seeded(1), way.clone());
                let way = Way::Imagined(way);
                Self { way, store }
            }
        }
    }

    /// Behind a proxy; it gives up soon.
    pub(super) async fn of_port(port: u16) -> Self {
        let proxy = Proxy::start(port).await.expect("loopback has a free port");
        let retry = RetryPolicy {
            max_attempts: 1,
            max_delay: Duration::from_millis(100),
            ..RetryPolicy::default()
        };
        let config = StoreConfig::from_url(&proxy.url())
            .unwrap()
            .read_timeout(Duration::from_millis(750))
            .write_timeout(Duration::from_millis(250))
            .retry(retry)
            .clock(Clock::system());
        let store = Store::connect(config).await.expect("the proxy lets it through");
        let way = Way::Proxied(proxy);
        Self { way, store }
    }

    pub(super) fn down(&self) {
        match &self.way {
            Way::Imagined(lossy) => lossy.down.store(true, Ordering::SeqCst),
            Way::Proxied(proxy) => {
                proxy.refuse(true);
                proxy.cut();
            }
        }
    }

    pub(super) fn up(&self) {
        match &self.way {
            Way::Imagined(lossy) => lossy.down.store(false, Ordering::SeqCst),
            Way::Proxied(proxy) => {
                proxy.let_pass();
                proxy.refuse(false);
            }
        }
    }

    /// Requests arrive from now on, and no answers come back, until it is [`up`](Self::up).
    pub(super) fn hold_replies(&self) {
        match &self.way {
            Way::Imagined(_) => panic!("a network of its own kind"),
            Way::Proxied(proxy) => proxy.hold_replies(),
        }
    }

    /// A cache of this process, with a TTL far beyond every test.
    pub(super) async fn cache(
        &self,
        settings: impl FnOnce(CacheBuilder<u64, u64>) -> CacheBuilder<u64, u64>,
    ) -> Cache<u64, u64> {
        settings(numbers(&self.store))
            .build()
            .await
            .expect("the settings agree")
    }
}

/// Settings that a whole test long keep what is stored.
pub(super) fn numbers(store: &Store) -> CacheBuilder<u64, u64> {
    Cache::builder("n")
        .store(store)
        .ttl(Duration::from_secs(500))
        .jitter(0.0)
}

/// Waits until nothing is pending any more.
pub(super) async fn settled(t: &Topology, cache: &Cache<u64, u64>) {
    until(t, async || cache.stats().pending == 0).await;
}

/// Waits for a condition, while time passes.
pub(super) async fn until(t: &Topology, condition: impl AsyncFn() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(SOON, meanwhile(t, waiting))
        .await
        .expect("it takes too long");
}
