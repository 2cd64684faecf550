//! Invalidations that count only when a replica has them.

use std::time::Duration;

use larder_cache::Cache;
use larder_store::Store;
use larder_testkit::{Proxy, RedisServer, eventually};

use super::cut::{SOON, numbers};
use crate::behaviour::subject::{Rows, answers};

async fn cache(server: &RedisServer, rows: &Rows, replicas: u32) -> Cache<u64, u64> {
    let store = Store::open(&server.url()).await.unwrap();
    let builder = numbers(&store).source(rows.clone()).wait_replicas(replicas);
    builder.build().await.unwrap()
}

/// Whether a server has an entry.
fn has(server: &RedisServer, key: &str) -> bool {
    !server.cli(&["--scan", "--pattern", &format!("n:*:e:{key}")]).is_empty()
}

/// The promoted replica has not heard of an invalidation that the primary acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_that_one_server_acknowledged_is_lost_with_it() {
    let primary = RedisServer::start().await;
    let way = Proxy::start(primary.port()).await.unwrap();
    let replica = RedisServer::start_replica_of(way.port()).await;
    let cache = cache(&primary, &Rows::of(1), 0).await;
    cache.get(&1).await.unwrap();
    eventually(SOON, async || has(&replica, "1")).await;
    way.hold_replies();
    cache.invalidate(&1).await.expect("the primary acknowledges it");
    replica.promote();
    assert!(has(&replica, "1"), "stale until its TTL");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_that_no_replica_has_is_pending() {
    let primary = RedisServer::start().await;
    let way = Proxy::start(primary.port()).await.unwrap();
    let replica = RedisServer::start_replica_of(way.port()).await;
    let rows = Rows::of(1);
    let cache = cache(&primary, &rows, 1).await;
    for key in 1..=4 {
        cache.get(&key).await.unwrap();
    }
    eventually(SOON, async || has(&replica, "4")).await;
    cache.invalidate(&1).await.expect("the replica answers");
    assert!(!has(&replica, "1"));

    way.hold_replies();
    rows.set(2);
    let error = cache.invalidate(&2).await.unwrap_err();
    assert!(error.is_pending(), "{error}");
    assert!(
        error.store_error().unwrap().to_string().contains("0 of 1 replicas"),
        "{error:?}"
    );
    assert_eq!(cache.get(&2).await.unwrap().as_deref(), Some(&2), "as good as not done");
    assert!(cache.invalidate_tag("team").await.unwrap_err().is_pending());
    let hold = cache.hold(&3).await.unwrap();
    let held = hold.commit(answers(0)).await;
    assert!(held.unwrap_err().is_pending());
    way.let_pass();
    eventually(Duration::from_secs(60), async || cache.stats().pending == 0).await;
    eventually(SOON, async || !has(&replica, "2")).await;
}

#[tokio::test]
async fn an_embedded_store_has_no_replicas_to_wait_for() {
    let store = Store::open("embedded:").await.unwrap();
    let error = numbers(&store).wait_replicas(1).build().await.unwrap_err();
    assert!(
        error.is_config() && error.to_string().contains("wait_replicas"),
        "{error}"
    );
}
