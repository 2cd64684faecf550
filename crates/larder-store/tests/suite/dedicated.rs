//! Connections of one's own and subscriptions, on a private redis-server.

use std::time::Duration;

use super::common::{SOON, soon};
use larder_base::Clock;
use larder_store::{
    Dedicated, Event, Store, StoreConfig, StoreError,
    redis::{self, AsyncCommands},
};
use larder_testkit::{Proxy, RedisServer, eventually};

async fn id(own: &mut Dedicated) -> i64 {
    let id = redis::cmd("CLIENT").arg("ID").query_async(own).await;
    id.expect("the connection is up")
}

async fn opened(server: &RedisServer, parameters: &str) -> Store {
    let store = Store::open(&format!("{}?{parameters}", server.url())).await;
    store.expect("the server is up")
}

/// Waits until a client of the server is blocked in a command.
async fn until_blocked(server: &RedisServer) {
    eventually(SOON, async || {
        server.cli(&["INFO", "clients"]).contains("blocked_clients:1")
    })
    .await;
}

#[tokio::test]
async fn a_blocked_command_stalls_nobody_and_has_no_deadline() {
    let server = RedisServer::start().await;
    let mut store = opened(&server, "read_timeout=250ms").await;
    let mut own = store.dedicated().await.unwrap();
    let waiting = tokio::spawn(async move { own.blpop::<_, (String, String)>("jobs", 0.0).await });
    until_blocked(&server).await;
    // Far longer than the command deadline, and the shared connection goes on all the while.
    let clock = Clock::system();
    let until = clock.monotonic() + Duration::from_millis(1_500);
    while clock.monotonic() < until {
        store.ping().await.unwrap();
    }
    let _: () = store.rpush("jobs", "one").await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), ("jobs".to_owned(), "one".to_owned()));
}

#[tokio::test]
async fn a_job_is_not_popped_for_someone_who_stopped_waiting() {
    let server = RedisServer::start().await;
    let mut store = opened(&server, "").await;
    let mut own = store.dedicated().await.unwrap();
    let waiting = tokio::spawn(async move { own.blpop::<_, (String, String)>("jobs", 0.0).await });
    until_blocked(&server).await;
    waiting.abort();
    eventually(SOON, async || {
        server.cli(&["INFO", "clients"]).contains("blocked_clients:0")
    })
    .await;
    let _: () = store.rpush("jobs", "one").await.unwrap();
    assert_eq!(store.llen::<_, i64>("jobs").await.unwrap(), 1, "the job is still there");
}

#[tokio::test]
async fn a_handle_whose_command_was_abandoned_says_so() {
    let server = RedisServer::start().await;
    let store = opened(&server, "").await;
    let mut own = store.dedicated().await.unwrap();
    let clock = Clock::system();
    let impatient = clock.timeout(Duration::from_millis(20), own.blpop::<_, (String, String)>("jobs", 0.0));
    assert!(impatient.await.is_none());
    let error = StoreError::from(own.get::<_, Option<String>>("k").await.unwrap_err());
    assert!(error.to_string().contains("abandoned"), "{error}");
}

#[tokio::test]
async fn a_command_that_waits_by_its_own_words_may_take_that_long() {
    let server = RedisServer::start().await;
    let store = opened(&server, "read_timeout=500ms").await;
    let mut own = store.dedicated().await.unwrap();
    let nothing: Option<(String, String)> = own.blpop("jobs", 1.2).await.unwrap();
    assert_eq!(nothing, None, "1.2 s by its own words, beyond a deadline of 1 s");
    let clock = Clock::system();
    server.pause();
    let began = clock.monotonic();
    let error = StoreError::from(own.get::<_, Option<String>>("k").await.unwrap_err());
    assert!(error.is_timeout() && clock.monotonic() - began < SOON, "{error}");
    server.resume();
}

#[tokio::test]
async fn the_pool_is_bounded_and_says_which_setting_bounds_it() {
    let server = RedisServer::start().await;
    let store = opened(&server, "pool_size=1&pool_timeout=500ms").await;
    let mut own = store.dedicated().await.unwrap();
    let first = id(&mut own).await;
    let error = store.dedicated().await.unwrap_err();
    assert!(error.is_timeout() && error.to_string().contains("pool_size"), "{error}");
    drop(own);
    assert_eq!(
        id(&mut store.dedicated().await.unwrap()).await,
        first,
        "the connection is used again"
    );
}

#[tokio::test]
async fn a_connection_is_handed_on_as_new() {
    let server = RedisServer::start_with(&["--requirepass", "pw"]).await;
    let url = format!("redis://:pw@127.0.0.1:{}/3?pool_size=1&client_name=mine", server.port());
    let store = Store::open(&url).await.unwrap();
    let mut own = store.dedicated().await.unwrap();
    let before = id(&mut own).await;
    redis::cmd("SELECT").arg(5).exec_async(&mut own).await.unwrap();
    redis::cmd("CLIENT")
        .arg("SETNAME")
        .arg("other")
        .exec_async(&mut own)
        .await
        .unwrap();
    redis::cmd("MULTI").exec_async(&mut own).await.unwrap();
    drop(own);
    let mut own = store.dedicated().await.unwrap();
    let info: String = redis::cmd("CLIENT").arg("INFO").query_async(&mut own).await.unwrap();
    assert!(info.contains(&format!("id={before} ")), "{info}");
    for part in [" name=mine ", " db=3 ", " multi=-1 ", " resp=3"] {
        assert!(info.contains(part), "{part} in {info}");
    }
}

#[tokio::test]
async fn old_and_dead_connections_are_not_handed_on() {
    let server = RedisServer::start().await;
    let (clock, hand) = Clock::manual();
    let config = StoreConfig::from_url(&server.url())
        .unwrap()
        .clock(clock)
        .max_conn_age(Duration::from_secs(60));
    let store = Store::connect(config.idle_timeout(Duration::from_secs(10)))
        .await
        .unwrap();
    let again = async || id(&mut store.dedicated().await.unwrap()).await;
    let first = again().await;
    hand.advance(Duration::from_secs(9));
    assert_eq!(again().await, first, "neither old nor idle for long");
    hand.advance(Duration::from_secs(11));
    let second = again().await;
    assert_ne!(second, first, "idle for too long");
    for _ in 0..10 {
        hand.advance(Duration::from_secs(9));
        let _busy = again().await;
    }
    let third = again().await;
    assert_ne!(third, second, "too old, however busy");
    assert_eq!(server.cli(&["CLIENT", "KILL", "ID", &third.to_string()]), "1");
    // The pool hears of the end when the socket does, a moment later.
    eventually(SOON, async || {
        let mut own = store.dedicated().await.unwrap();
        redis::cmd("CLIENT")
            .arg("ID")
            .query_async::<i64>(&mut own)
            .await
            .is_ok_and(|id| id != third)
    })
    .await;
}

#[tokio::test]
async fn idle_connections_are_kept_ready_when_asked_for() {
    let server = RedisServer::start().await;
    let store = opened(&server, "min_idle=3&client_name=ready").await;
    let named = || server.cli(&["CLIENT", "LIST"]).matches("name=ready").count();
    eventually(SOON, async || named() == 4).await;
    drop(store);
    eventually(SOON, async || named() == 0).await;
}

#[tokio::test]
async fn a_subscription_comes_back_and_says_that_it_was_away() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await.unwrap();
    let store = Store::open(&proxy.url()).await.unwrap();
    let mut news = store.subscribe(["news"]).await.unwrap();
    for round in 0..5 {
        let payload = format!("before {round}");
        assert_eq!(server.cli(&["PUBLISH", "news", &payload]), "1");
        let Some(Event::Message(message)) = soon(news.next()).await else {
            panic!("a message")
        };
        assert_eq!(message.payload, payload.as_bytes());
        proxy.cut();
        assert_eq!(soon(news.next()).await, Some(Event::Disconnected));
        assert_eq!(soon(news.next()).await, Some(Event::Resubscribed));
    }
    store.close().await;
    assert_eq!(soon(news.next()).await, None, "it ends with its store");
}

#[tokio::test]
async fn a_subscription_notices_a_silent_server() {
    let server = RedisServer::start().await;
    let store = opened(&server, "read_timeout=500ms&connect_timeout=1s").await;
    let mut news = store.subscribe(["news"]).await.unwrap();
    server.pause();
    assert_eq!(soon(news.next()).await, Some(Event::Disconnected));
    server.resume();
    assert_eq!(soon(news.next()).await, Some(Event::Resubscribed));
}

#[tokio::test]
async fn a_subscription_needs_a_channel() {
    let server = RedisServer::start().await;
    let store = opened(&server, "").await;
    assert!(store.subscribe(Vec::<String>::new()).await.unwrap_err().is_config());
}
