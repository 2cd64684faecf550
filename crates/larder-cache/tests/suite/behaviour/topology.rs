//! The stores that must not be told apart: the engine in this process with a clock that the test moves, and a private
//! redis-server whose clock nobody moves. Times are stated in units; `advance` moves the one and waits on the other.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use larder_base::{Clock, ManualClock};
use larder_cache::{Cache, CacheBuilder};
use larder_engine::Engine;
use larder_store::Store;
use larder_testkit::{RedisServer, UNIT};

pub(crate) struct Topology {
    backend: Backend,
}

enum Backend {
    Embedded { engine: Engine, hand: ManualClock },
    Redis(RedisServer),
}

/// Runs `claim` on each of them.
pub(crate) async fn for_each_topology(claim: impl AsyncFn(Topology)) {
    let (clock, hand) = Clock::manual();
    let engine = Engine::builder().clock(clock).build();
    claim(Topology {
        backend: Backend::Embedded { engine, hand },
    })
    .await;
    claim(Topology {
        backend: Backend::Redis(RedisServer::start().await),
    })
    .await;
}

impl Topology {
    /// One process's store; each call is another process.
    pub(crate) async fn store(&self) -> Store {
        match &self.backend {
            Backend::Embedded { engine, .. } => Store::embedded(engine.clone()),
            Backend::Redis(server) => Store::open(&server.url()).await.expect("the server runs"),
        }
    }

    /// A cache of its own process, with a TTL of 20 units and no jitter.
    pub(crate) async fn cache(&self) -> Cache<u64, u64> {
        self.build(|b| b).await
    }

    pub(crate) async fn build(
        &self,
        settings: impl FnOnce(CacheBuilder<u64, u64>) -> CacheBuilder<u64, u64>,
    ) -> Cache<u64, u64> {
        let store = self.store().await;
        let builder = Cache::builder("n").store(&store).ttl(self.units(20)).jitter(0.0);
        settings(builder).build().await.expect("the settings agree")
    }

    /// For caches with a near tier where the store vouches for it.
    pub(crate) const fn near(&self) -> usize {
        match self.backend {
            Backend::Embedded { .. } => 100,
            Backend::Redis(_) => 0,
        }
    }

    pub(crate) fn units(&self, n: u32) -> Duration {
        UNIT * n
    }

    pub(crate) async fn advance(&self, n: u32) {
        match &self.backend {
            Backend::Embedded { hand, .. } => {
                hand.advance(UNIT * n);
                tokio::task::yield_now().await;
            }
            Backend::Redis(_) => tokio::time::sleep(UNIT * n).await,
        }
    }
}

/// Counts what it is asked for, and answers with what it is told to.
#[derive(Default)]
pub(crate) struct Loads(AtomicU64);

impl Loads {
    pub(crate) fn one(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}
