//! The race on a real redis-server, where the machine's own scheduler interleaves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_base::{Clock, Random};
use larder_cache::Cache;
use larder_store::Store;
use larder_testkit::{RedisServer, naive::CacheAside};
use tokio::task::JoinSet;

use super::{
    network::{Faults, Network, Steps},
    rows::{Loader, Rows},
    subject::{Subject, tag_of},
    world::{KEYS, Seen},
};

/// Long enough for naive code to fail some hundred times, short enough to be run every day.
const READS: u64 = 400;
const READERS: u64 = 8;
const WRITERS: u64 = 3;

/// One run: readers until they have read enough, writers until the readers are done.
async fn race<S: Subject>(subjects: Vec<S>, seed: u64) -> Seen {
    let (rows, running) = (Rows::default(), Arc::new(AtomicU64::new(READERS)));
    let random = Random::seeded(seed);
    let pick = |n: u64| subjects[(n % subjects.len() as u64) as usize].clone();
    let mut writers = JoinSet::new();
    for n in 0..WRITERS {
        let random = Random::seeded(random.next_u64());
        writers.spawn(write(pick(n), rows.clone(), random, running.clone()));
    }
    let mut readers = JoinSet::new();
    for n in 0..READERS {
        let random = Random::seeded(random.next_u64());
        let loader = Loader {
            rows: rows.clone(),
            network: Network::new(Random::seeded(random.next_u64()), Faults::NONE, Steps::default()),
            clock: Clock::system(),
            random: random.clone(),
        };
        readers.spawn(read(pick(n), loader, random, running.clone()));
    }
    let mut seen = Seen::default();
    while let Some(read) = readers.join_next().await {
        seen += read.expect("a reader does not panic");
    }
    while let Some(written) = writers.join_next().await {
        written.expect("a writer does not panic");
    }
    seen.loads = rows.loads();
    seen
}

async fn read<S: Subject>(subject: S, loader: Loader, random: Random, running: Arc<AtomicU64>) -> Seen {
    let mut seen = Seen::default();
    for _ in 0..READS {
        let key = random.below(KEYS);
        let floor = loader.rows.floor(key);
        if let Some(value) = subject.read(key, loader.clone()).await {
            seen.reads += 1;
            seen.stale += u64::from(value < floor);
        }
    }
    running.fetch_sub(1, Ordering::Relaxed);
    seen
}

async fn write<S: Subject>(subject: S, rows: Rows, random: Random, running: Arc<AtomicU64>) {
    let clock = Clock::system();
    while running.load(Ordering::Relaxed) > 0 {
        let key = random.below(KEYS);
        let version = rows.commit(key);
        let acknowledged = if random.below(3) == 0 {
            subject.invalidate_tag(&tag_of(key)).await
        } else {
            subject.invalidate(key).await
        };
        if acknowledged {
            rows.acknowledge(key, version);
        }
        clock.sleep(Duration::from_micros(500 + random.below(20_000))).await;
    }
}

async fn stores(server: &RedisServer, processes: usize) -> Vec<Store> {
    let mut stores = Vec::new();
    for _ in 0..processes {
        stores.push(Store::open(&server.url()).await.expect("the server is up"));
    }
    stores
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_redis_naive_code_reads_stale_values_and_larder_does_not() {
    for processes in [1, 2] {
        let server = RedisServer::start().await;
        let naive = stores(&server, processes)
            .await
            .into_iter()
            .map(CacheAside::new)
            .collect();
        let naive: Seen = race::<CacheAside<Store>>(naive, 1).await;
        let mut caches = Vec::new();
        for store in stores(&server, processes).await {
            let builder = Cache::<u64, u64>::builder("real")
                .store(&store)
                .ttl(Duration::from_secs(60));
            caches.push(builder.build().await.expect("the settings agree"));
        }
        let larder = race(caches, 1).await;
        println!("{processes} processes on redis-server: naive {naive:?}, larder {larder:?}");
        assert!(naive.stale >= 1, "the race is not here: {naive:?}");
        assert_eq!(larder.stale, 0, "{larder:?}");
        assert!(larder.reads >= READERS * READS && larder.loads > 10, "{larder:?}");
    }
}
