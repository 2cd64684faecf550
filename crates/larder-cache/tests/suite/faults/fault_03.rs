//! 3: the server dies and comes back empty. Misses, and nothing older than what was acknowledged: no lease of before is
//! good for a fill, and no number begins anew.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_base::Clock;
use larder_cache::Cache;
use larder_store::Store;
use larder_testkit::{
    Kind, RedisServer, eventually,
    history::{Bounds, Served},
    naive::CountedGeneration,
    verify::Seen,
};

use super::{
    row::{Baseline, Verdict, row},
    stage::{Process, Stage},
    tagged::{Held, Reads, larder},
};

/// For a client to notice the restart and connect again.
const BACK: Duration = Duration::from_secs(20);

/// Keys that are cached when the server dies.
const CACHED: std::ops::Range<u64> = 0..4;

/// Keys whose loads are under way then: one that nobody else asks for, one that another process loads anew.
const ALONE: u64 = 10;
const TWICE: u64 = 11;

async fn open(server: &RedisServer) -> Store {
    Store::open(&server.url()).await.expect("the server is up")
}

#[test]
fn fault_03() {
    row(3, &[Baseline::Naive, Baseline::Lock], &[Kind::Redis], async |turn| {
        let mut server = RedisServer::start().await;
        let stage = Stage::new(&Clock::system(), &turn.random, Bounds::default());
        let (here, there) = (open(&server).await, open(&server).await);
        let reader = Process::new(turn.baseline, 0, &here).await;
        let writer = Process::new(turn.baseline, 1, &there).await;
        for key in CACHED {
            stage.read(&reader, key).await.expect("the server is up");
        }
        stage.rows().hold_loads();
        let early = [ALONE, TWICE].map(|key| stage.reading(&reader, key));
        stage.rows().loads_held(2).await;

        server.restart_empty().await;
        for store in [&here, &there] {
            eventually(BACK, async || store.ping().await.is_ok()).await;
        }
        let mut verdict = Verdict::default();
        for key in [ALONE, TWICE] {
            verdict.expect(
                stage.write(&writer, key).await,
                "the server is back: the write is acknowledged",
            );
        }
        let anew = stage.reading(&writer, TWICE);
        stage.rows().loads_held(3).await;
        stage.rows().let_loads_go();
        for read in early.into_iter().chain([anew]) {
            read.await.expect("no panic");
        }

        for key in CACHED {
            let seen = stage.read(&reader, key).await;
            // Code written by hand does not say where a value came from.
            let missed = !turn.is_larder() || is_loaded(seen);
            verdict.expect(missed, format!("key {key} is a miss, not {seen:?}"));
        }
        for key in [ALONE, TWICE] {
            for process in [&reader, &writer] {
                verdict.expect(stage.read(process, key).await.is_some(), "it is answered");
            }
        }
        verdict += stage.verdict_with(&[&reader, &writer]).await;
        if let Some(cache) = reader.larder() {
            let refused = cache.stats().fills_rejected();
            verdict.expect(refused == 2, format!("both fills of before are refused, not {refused}"));
        }
        verdict
    });
}

fn is_loaded(seen: Option<Seen>) -> bool {
    seen.is_some_and(|seen| seen.served == Served::Loaded)
}

/// `clear` as a number that counts up: the server forgets it, the next `clear` counts to a number that was used before,
/// and what a load of that time stores is under the present one.
#[test]
fn fault_03_against_counted_generations() {
    row(3, &[Baseline::Naive], &[Kind::Redis], async |turn| {
        let server = RedisServer::start().await;
        let store = open(&server).await;
        if turn.is_larder() {
            let cache = larder(&store).await;
            cleared_before_and_after(server, store, cache).await
        } else {
            let cache = CountedGeneration::new(store.clone());
            cleared_before_and_after(server, store, cache).await
        }
    });
}

/// A cache that can be cleared.
trait Cleared: Reads {
    fn clear(&self) -> impl Future<Output = bool> + Send;
}

impl Reads for CountedGeneration<Store> {
    async fn get<F>(&self, load: impl FnOnce() -> F + Send) -> Option<u64>
    where
        F: Future<Output = u64> + Send,
    {
        Self::get(self, "row", load).await.ok()
    }
}

impl Cleared for CountedGeneration<Store> {
    async fn clear(&self) -> bool {
        Self::clear(self).await.is_ok()
    }
}

impl Cleared for Cache<u64, u64> {
    async fn clear(&self) -> bool {
        Self::clear(self).await.is_ok()
    }
}

async fn cleared_before_and_after(mut server: RedisServer, store: Store, cache: impl Cleared) -> Verdict {
    let (mut verdict, row) = (Verdict::default(), Arc::new(AtomicU64::new(1)));
    verdict.expect(cache.clear().await, "acknowledged");
    let early = Held::begin(&cache, &row).await;
    row.store(2, Ordering::SeqCst);
    verdict.expect(cache.clear().await, "acknowledged");

    server.restart_empty().await;
    eventually(BACK, async || store.ping().await.is_ok()).await;
    verdict.expect(cache.clear().await, "acknowledged");
    early.end().await;
    let now = cache.read(&row).await;
    verdict.expect(now == Some(2), format!("version 2, not {now:?}, three clears later"));
    verdict
}
