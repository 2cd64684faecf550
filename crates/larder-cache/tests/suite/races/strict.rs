//! Strict writes (theorem T3): no read that begins after a commit became visible is older than it, near tiers included, and
//! also where the writer dies between its commit and the end of its hold.

use std::{
    convert::Infallible,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_base::Clock;
use larder_cache::{Cache, Coherence, Consistency, Tier};
use larder_engine::{
    Engine,
    serve::{ServeConfig, Server},
};
use larder_store::Store;
use larder_testkit::{
    Case, RedisServer,
    history::{Bounds, Rule, Served},
    naive::CacheAside,
    verify::{self, ByHand, Invalidated, Outcome, Plan, Rows, Seen, Subject, Written},
};
use tokio::sync::Notify;

/// One writer of so many dies after its commit.
const DEATHS: u64 = 5;

/// Short, so that a strict write does not take long; a heartbeat comes four times in it.
const NEAR_BOUND: Duration = Duration::from_millis(80);

/// Long against any stall of this machine: a commit has to be visible within it (the theorem's condition).
const HOLD: Duration = Duration::from_secs(4);

/// A store, on the machine's own clock, and what it stands on.
struct Place {
    stores: Vec<Store>,
    _server: Option<Server>,
    _redis: Option<RedisServer>,
}

const PROCESSES: usize = 2;

async fn embedded() -> Place {
    let engine = Engine::new();
    Place {
        stores: (0..PROCESSES).map(|_| Store::embedded(engine.clone())).collect(),
        _server: None,
        _redis: None,
    }
}

async fn served() -> Place {
    let bind = ServeConfig::new().bind("127.0.0.1:0");
    let server = Server::start(Engine::new(), bind)
        .await
        .expect("loopback has a free port");
    let port = server.local_addr().expect("it was bound to TCP").port();
    Place {
        stores: connect(&format!("redis://127.0.0.1:{port}")).await,
        _server: Some(server),
        _redis: None,
    }
}

async fn redis() -> Place {
    let server = RedisServer::start().await;
    Place {
        stores: connect(&server.url()).await,
        _server: None,
        _redis: Some(server),
    }
}

async fn connect(url: &str) -> Vec<Store> {
    let mut stores = Vec::new();
    for _ in 0..PROCESSES {
        stores.push(Store::open(url).await.expect("the server is up"));
    }
    stores
}

/// Larder, writing under holds.
struct Strict {
    cache: Cache<u64, u64>,
    died: Arc<AtomicU64>,
}

impl Strict {
    async fn new(store: &Store, coherence: Coherence, died: &Arc<AtomicU64>) -> Self {
        let cache = Cache::builder("strict")
            .store(store)
            .near(1_000)
            .max_staleness(NEAR_BOUND)
            .coherence(coherence)
            .consistency(Consistency::Strict)
            .hold_for(HOLD)
            .ttl(Duration::from_secs(60));
        Self {
            cache: cache.build().await.expect("the settings agree"),
            died: died.clone(),
        }
    }
}

impl Subject for Strict {
    async fn read(&self, process: u32, key: u64, rows: &Arc<Rows>) -> Option<Seen> {
        let load = || async move { Ok::<_, Infallible>(rows.load(process, key).await) };
        let found = self.cache.lookup_or_load(&key, load).await.ok()?;
        let served = match found.tier() {
            Tier::Near => Served::Near,
            Tier::Store => Served::Store,
            _ => Served::Loaded,
        };
        Some(Seen {
            version: **found.value()?,
            served,
            overdue: 0,
        })
    }

    async fn invalidate(&self, key: u64, _: u64) -> Invalidated {
        Invalidated {
            acknowledged: self.cache.invalidate(&key).await.is_ok(),
            everything: false,
        }
    }

    async fn write(&self, key: u64, choice: u64, rows: &Arc<Rows>) -> Written {
        let held_since = Some(rows.recorder().now());
        let hold = self.cache.hold(&key).await.expect("the store is up");
        let dies = choice.is_multiple_of(DEATHS);
        let (visible, committed) = (Arc::new(OnceLock::new()), Arc::new(Notify::new()));
        let commit = {
            let (visible, rows, committed) = (visible.clone(), rows.clone(), committed.clone());
            async move {
                visible.set(rows.commit(key)).expect("it commits once");
                committed.notify_one();
                if dies {
                    std::future::pending::<()>().await;
                }
                Ok::<_, Infallible>(())
            }
        };
        let mut writing = Box::pin(hold.commit(commit));
        let acknowledged = if dies {
            tokio::select! {
                _ = writing.as_mut() => unreachable!("its commit does not return"),
                () = committed.notified() => {}
            }
            // Never dropped: a process that dies does nothing more either.
            std::mem::forget(writing);
            self.died.fetch_add(1, Ordering::Relaxed);
            false
        } else {
            writing.await.expect("the store is up").held
        };
        let &(version, committed) = visible.get().expect("it has committed");
        Written {
            version,
            committed,
            invalidated: Invalidated {
                acknowledged,
                everything: false,
            },
            held_since,
        }
    }

    async fn cached(&self, key: u64) -> Vec<(&'static str, u64)> {
        let found = self.cache.get(&key).await.ok().flatten();
        found.map(|version| ("larder", *version)).into_iter().collect()
    }
}

/// The same by hand: commit, then delete, unless the writer dies in between.
struct Naive(ByHand);

impl Subject for Naive {
    async fn read(&self, process: u32, key: u64, rows: &Arc<Rows>) -> Option<Seen> {
        self.0.read(process, key, rows).await
    }

    async fn invalidate(&self, key: u64, choice: u64) -> Invalidated {
        if choice != u64::MAX && choice.is_multiple_of(DEATHS) {
            return Invalidated {
                acknowledged: false,
                everything: false,
            };
        }
        self.0.invalidate(key, choice).await
    }

    async fn cached(&self, key: u64) -> Vec<(&'static str, u64)> {
        self.0.cached(key).await
    }
}

const BOUNDS: Bounds = Bounds {
    near: Duration::ZERO,
    grace: Duration::ZERO,
    strict: true,
    rollback: Duration::ZERO,
    behind: false,
};

fn plan() -> Plan {
    Plan {
        ops: 4_000,
        keys: 16,
        readers: 4,
        writers: 3,
        load_delay: Duration::from_millis(1),
        ..Plan::default()
    }
}

async fn run<S: Subject>(subjects: Vec<S>) -> Outcome {
    let random = Case::each(1, 1).next().expect("one case was asked for").random();
    verify::run(&plan(), subjects, BOUNDS, &Clock::system(), &random, |_| {
        std::future::ready(())
    })
    .await
}

async fn strict_writes_are_never_missed(place: Place, coherence: Coherence) {
    let naive = place
        .stores
        .iter()
        .map(|store| Naive(ByHand::new(CacheAside::new(store.clone()), store, "naive")))
        .collect();
    let outcome = run(naive).await;
    println!(
        "naive: {} of {} reads stale",
        outcome.report.stale_reads, outcome.report.reads
    );
    assert!(outcome.report.count(Rule::C3) > 0, "{:?}", outcome.report);

    let died = Arc::default();
    let mut subjects = Vec::new();
    for store in &place.stores {
        subjects.push(Strict::new(store, coherence, &died).await);
    }
    let caches: Vec<_> = subjects.iter().map(|subject| subject.cache.clone()).collect();
    let outcome = run(subjects).await;
    let near: u64 = caches.iter().map(|cache| cache.stats().near_hits).sum();
    let lost: u64 = caches.iter().map(|cache| cache.stats().holds_lost).sum();
    println!(
        "strict: {} of {} reads stale ({near} near), {} writes, {} writers died",
        outcome.report.stale_reads,
        outcome.report.reads,
        outcome.report.writes,
        died.load(Ordering::Relaxed)
    );
    assert!(
        outcome.is_clean(),
        "{:?}, {:?}",
        outcome.report.violations,
        outcome.at_rest
    );
    assert!(died.load(Ordering::Relaxed) > 0 && near > 0 && lost == 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strict_writes_are_never_missed_on_the_embedded_store() {
    strict_writes_are_never_missed(embedded().await, Coherence::Tracking).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strict_writes_are_never_missed_on_larder_serve() {
    strict_writes_are_never_missed(served().await, Coherence::Tracking).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strict_writes_are_never_missed_on_redis() {
    strict_writes_are_never_missed(redis().await, Coherence::Tracking).await;
}

/// By the log even the embedded store's near tiers are behind, by what is left until the next heartbeat.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strict_writes_are_never_missed_by_readers_of_a_log() {
    strict_writes_are_never_missed(embedded().await, Coherence::Log).await;
    strict_writes_are_never_missed(redis().await, Coherence::Log).await;
}
