//! A leader that stands still beyond its lease, and goes on when the world has changed: its fill is refused.

use std::time::Duration;

use larder_base::Clock;
use larder_cache::Cache;
use larder_store::Store;
use larder_testkit::{
    RedisServer, eventually,
    worker::{self, Worker},
};
use redis::AsyncCommands as _;
use serde::{Deserialize, Serialize};

/// The row's value, in the same server: every process sees it.
const ROW: &str = "paused:row";

const LEASE: Duration = Duration::from_millis(400);

#[derive(Serialize, Deserialize)]
struct Leader {
    url: String,
}

/// What the leader says: that it has read the row, then what became of it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Said {
    Read(u64),
    Done { value: u64, refused: u64 },
}

async fn open(url: &str) -> (Store, Cache<u64, u64>) {
    let store = Store::open(url).await.expect("the server is up");
    let builder = Cache::builder("paused")
        .store(&store)
        .ttl(Duration::from_secs(600))
        .lease(LEASE);
    let cache = builder.build().await.expect("the settings agree");
    (store, cache)
}

async fn row(mut store: Store) -> Result<u64, redis::RedisError> {
    store.get(ROW).await
}

#[test]
fn leader() {
    let Some(Leader { url }) = worker::job() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(async {
        let (store, cache) = open(&url).await;
        worker::ready();
        let load = || async {
            let seen = row(store).await?;
            worker::report(&Said::Read(seen));
            // Here the process is stopped; when it goes on, this wait is over.
            Clock::system().sleep(LEASE / 2).await;
            Ok::<_, redis::RedisError>(seen)
        };
        let value = *cache.get_or_load(&1, load).await.expect("the server is up");
        worker::report(&Said::Done {
            value,
            refused: cache.stats().fills_rejected(),
        });
    });
}

#[tokio::test]
async fn a_leader_stopped_beyond_its_lease_stores_nothing() {
    let server = RedisServer::start().await;
    let (mut store, cache) = open(&server.url()).await;
    store.set::<_, _, ()>(ROW, 1).await.expect("the server is up");
    let mut stopped = Worker::start("processes::paused::leader", &Leader { url: server.url() });
    stopped.go();
    assert_eq!(stopped.next_record(), Some(Said::Read(1)));
    stopped.pause();

    store.set::<_, _, ()>(ROW, 2).await.expect("the server is up");
    cache.invalidate(&1).await.expect("the server is up");
    let read = || async {
        *cache
            .get_or_load(&1, || row(store.clone()))
            .await
            .expect("the server is up")
    };
    assert_eq!(read().await, 2);

    stopped.resume();
    let said: Vec<Said> = tokio::task::spawn_blocking(|| stopped.finish())
        .await
        .expect("no panic");
    assert_eq!(
        said,
        [Said::Done { value: 1, refused: 1 }],
        "its own caller asked before the write"
    );
    assert_eq!(read().await, 2);
}

/// Nobody invalidates: the lease just ends. Another then loads under a lease of its own, and the first one's is refused.
#[tokio::test]
async fn a_leader_stopped_beyond_its_lease_is_replaced() {
    let server = RedisServer::start().await;
    let (mut store, cache) = open(&server.url()).await;
    store.set::<_, _, ()>(ROW, 1).await.expect("the server is up");
    let mut stopped = Worker::start("processes::paused::leader", &Leader { url: server.url() });
    stopped.go();
    assert_eq!(stopped.next_record(), Some(Said::Read(1)));
    stopped.pause();
    store.set::<_, _, ()>(ROW, 2).await.expect("the server is up");
    eventually(LEASE * 20, async || {
        let read = cache.get_or_load(&1, || row(store.clone())).await;
        read.is_ok_and(|value| *value == 2)
    })
    .await;
    stopped.resume();
    let said: Vec<Said> = tokio::task::spawn_blocking(|| stopped.finish())
        .await
        .expect("no panic");
    assert_eq!(said, [Said::Done { value: 1, refused: 1 }]);
    assert_eq!(cache.get(&1).await.expect("the server is up").as_deref(), Some(&2));
}
