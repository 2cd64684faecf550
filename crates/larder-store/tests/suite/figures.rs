//! What a store says of itself after it went through something.

use larder_store::{
    Store,
    redis::{self, AsyncCommands},
};
use larder_testkit::{RedisServer, eventually};

use super::common::SOON;

#[tokio::test]
async fn connections_commands_and_what_went_wrong_are_counted() {
    let mut server = RedisServer::start().await;
    let url = format!("{}?retry_delay=5ms&retry_max_delay=20ms", server.url());
    let mut store = Store::open(&url).await.unwrap();
    for _ in 0..100 {
        let _: () = store.set("k", "v").await.unwrap();
    }
    let stats = store.stats();
    assert_eq!((stats.connections, stats.own_connections), (1, 0));
    assert_eq!((stats.connects, stats.reconnects, stats.disconnects), (1, 0, 0));
    assert!(stats.commands >= 100, "{stats:?}");

    let own = store.dedicated().await.unwrap();
    assert_eq!(store.stats().own_connections, 1);
    drop(own);

    server.kill();
    let failed: redis::RedisResult<()> = store.get("k").await;
    assert!(failed.is_err());
    eventually(SOON, async || store.stats().connect_failures > 0).await;
    let stats = store.stats();
    assert_eq!((stats.connections, stats.disconnects), (0, 1), "{stats:?}");
    assert!(stats.lost + stats.unconnected + stats.refused > 0, "{stats:?}");

    server.restart_empty().await;
    eventually(SOON, async || store.get::<_, Option<String>>("k").await.is_ok()).await;
    let stats = store.stats();
    assert_eq!(
        (stats.connections, stats.connects, stats.reconnects),
        (1, 1, 1),
        "{stats:?}"
    );
    eventually(SOON, async || store.stats().in_flight == 0).await;
}

#[tokio::test]
async fn a_command_past_its_deadline_is_counted_as_an_overrun() {
    let server = RedisServer::start().await;
    let url = format!("{}?read_timeout=500ms&write_timeout=500ms&max_attempts=1", server.url());
    let mut store = Store::open(&url).await.unwrap();
    server.pause();
    let failed: redis::RedisResult<Option<String>> = store.get("k").await;
    assert!(failed.is_err());
    eventually(SOON, async || store.stats().timeouts > 0 && store.stats().overruns > 0).await;
    server.resume();
}

#[tokio::test]
async fn an_embedded_store_counts_its_commands() {
    let mut store = Store::open("embedded:").await.unwrap();
    let before = store.stats().commands;
    let _: () = store.set("k", "v").await.unwrap();
    assert!(store.stats().commands > before);
    assert_eq!(store.stats().connections, 0);
}
