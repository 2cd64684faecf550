//! A request for a lease that is stuck in the network runs when nobody expects it any more. What it carries must be of
//! no use to anybody by then: token and incarnation are drawn anew for every attempt.

use std::{
    convert::Infallible,
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
use larder_testkit::Wire;
use parking_lot::Mutex;

use super::{subject::Larder, world::lose};

/// A network in which the first `get` gets stuck.
#[derive(Debug, Default)]
struct Jam {
    jammed: AtomicBool,
    stuck: Mutex<Option<Stuck>>,
}

impl Jam {
    /// The stuck request gets through.
    fn arrive(&self) {
        self.stuck.lock().take().expect("a request is stuck").arrive();
    }
}

impl Transit for Jam {
    fn request<'a>(&'a self, command: &'a str) -> Passage<'a, Fate> {
        let jams = command == "get" && !self.jammed.swap(true, Ordering::Relaxed);
        Box::pin(async move { if jams { Fate::Late } else { Fate::Arrives } })
    }

    fn reply<'a>(&'a self, _command: &'a str) -> Passage<'a, ()> {
        Box::pin(async {})
    }

    fn stuck(&self, request: Stuck) {
        *self.stuck.lock() = Some(request);
    }
}

/// A process whose first request gets stuck, another one, and the row that both read.
struct Scene {
    engine: Engine,
    jam: Arc<Jam>,
    here: Larder,
    there: Larder,
    row: Arc<AtomicU64>,
}

impl Scene {
    async fn new() -> Self {
        let (engine, jam) = (Engine::new(), Arc::new(Jam::default()));
        let here = Store::embedded_through(engine.clone(), Random::system(), jam.clone());
        let there = Store::embedded(engine.clone());
        let cache = async |store: &Store| {
            let builder = Cache::builder("retry").store(store).ttl(Duration::from_secs(60));
            builder.build().await.expect("the settings agree")
        };
        Self {
            here: cache(&here).await,
            there: cache(&there).await,
            engine,
            jam,
            row: Arc::new(AtomicU64::new(1)),
        }
    }

    async fn read(&self, cache: &Larder, key: u64) -> u64 {
        let load = || async { Ok::<_, Infallible>(self.row.load(Ordering::Relaxed)) };
        *cache.get_or_load(&key, load).await.expect("the store is up")
    }
}

/// The first attempt's copy arrives after an invalidation has killed the second attempt's lease.
#[tokio::test]
pub(crate) async fn a_late_attempt_does_not_revive_the_lease_of_its_retry() {
    let scene = Scene::new().await;
    let load = || async {
        let seen = scene.row.swap(2, Ordering::Relaxed);
        scene.there.invalidate(&1).await.expect("the store is up");
        scene.jam.arrive();
        Ok::<_, Infallible>(seen)
    };
    assert_eq!(*scene.here.get_or_load(&1, load).await.expect("the store is up"), 1);
    assert_eq!(scene.here.stats().fills_rejected(), 1);
    assert_eq!(scene.there.get(&1).await.expect("the store is up"), None);
}

/// The first attempt's copy arrives when everything was cleared and the partition's marker is lost: with the incarnation that
/// it carries, whatever else stands in the partition would be valid again.
#[tokio::test]
pub(crate) async fn a_late_attempt_does_not_revive_the_incarnation_of_its_retry() {
    /// Enough that several share the partition of the first.
    const KEYS: std::ops::Range<u64> = 0..300;
    let scene = Scene::new().await;
    for key in KEYS {
        assert_eq!(scene.read(&scene.here, key).await, 1);
    }
    scene.row.store(2, Ordering::Relaxed);
    scene.there.clear().await.expect("the store is up");
    lose(&mut Wire::embedded(&scene.engine), "*:m");
    scene.jam.arrive();
    for key in KEYS {
        assert_eq!(scene.read(&scene.there, key).await, 2, "key {key}");
    }
}
