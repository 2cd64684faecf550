//! A walk over keys that a server refuses, or that begins while nobody knows on which server.

use std::sync::Arc;

use larder_cache::{Cache, NewGeneration};
use larder_store::Store;
use larder_testkit::{Proxy, RedisServer, eventually};

use super::cut::{Cut, SOON, numbers};
use crate::behaviour::subject::answers;

/// A server whose user may do everything but this.
fn forbid(server: &RedisServer, command: &str) {
    server.cli(&["ACL", "SETUSER", "default", &format!("-{command}")]);
}

/// Keys 1 and 2 hold 1.
async fn filled(cache: &Cache<u64, u64>) {
    for key in [1, 2] {
        cache.get_or_load(&key, || answers(1)).await.unwrap();
    }
}

async fn delivered(cache: &Cache<u64, u64>) {
    eventually(SOON, async || cache.stats().pending == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_walk_clears_in_its_place_and_holds_nothing_up() {
    let server = RedisServer::start().await;
    let cut = Cut::of_port(server.port()).await;
    let cache = cut.cache(|b| b.near(100)).await;
    filled(&cache).await;
    forbid(&server, "scan");
    let refused = cache.invalidate_matching("1").await.unwrap_err();
    assert!(
        refused.is_pending() && format!("{refused:?}").contains("scan"),
        "{refused:?}"
    );
    delivered(&cache).await;
    assert!(cache.get(&1).await.unwrap().is_none());
    // It caches again, and the stream, cut off meanwhile, is served from again.
    filled(&cache).await;
    server.kill_clients();
    eventually(SOON, async || {
        let hits = cache.stats().near_hits;
        cache.get(&1).await.is_ok_and(|value| value.is_some()) && cache.stats().near_hits > hits
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pattern_is_repeated_on_a_server_that_refuses_to_walk() {
    let mut server = RedisServer::start().await;
    let cut = Cut::of_port(server.port()).await;
    let cache = cut
        .cache(|b| b.near(100).on_new_generation(NewGeneration::Replay))
        .await;
    filled(&cache).await;
    server.save();
    cache.invalidate_matching("1").await.unwrap();
    cut.down();
    server.restart_from_save().await;
    forbid(&server, "scan");
    cut.up();
    eventually(SOON, async || cache.stats().generations == 1).await;
    assert_eq!(*cache.get_or_load(&1, || answers(2)).await.unwrap(), 2);
}

/// So many keys that a walk has many steps.
const MANY: u64 = 20_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_that_began_unconnected_and_ended_elsewhere_is_walked_again() {
    let (first, second) = (RedisServer::start().await, RedisServer::start().await);
    for server in [&first, &second] {
        let store = Store::open(&server.url()).await.unwrap();
        let values = (0..MANY).map(|key| (key, key));
        numbers(&store).build().await.unwrap().put_many(values).await.unwrap();
    }
    let proxy = Arc::new(Proxy::start(first.port()).await.unwrap());
    let store = Store::open(&proxy.url()).await.unwrap();
    let cache = numbers(&store).build().await.unwrap();
    proxy.refuse(true);
    proxy.cut();
    eventually(SOON, async || store.generation().is_none()).await;

    let (moving, port, mut steps) = (proxy.clone(), second.port(), 0);
    let walk = cache.invalidate_matching("*").progress(move |_| {
        steps += 1;
        if steps == 20 {
            // The way leads to the other server from here on, in the middle of the walk.
            moving.point_at(port);
            moving.cut();
        }
    });
    let (walked, ()) = tokio::join!(walk, async {
        tokio::task::yield_now().await;
        proxy.refuse(false);
    });
    walked.expect("no step is lost: each is sent again on the next connection");
    let mut left = 0;
    for keys in (0..MANY).collect::<Vec<_>>().chunks(1_000) {
        left += cache.get_many(keys).await.len();
    }
    assert_eq!(left, 0, "of {MANY}");
}
