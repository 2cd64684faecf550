//! The `redis` crate as a client: both protocols, passwords, messages, invalidations.

use std::sync::{Arc, Mutex};

use super::common::{PATIENCE, serve};
use futures_util::StreamExt as _;
use larder_engine::{Engine, serve::ServeConfig};
use larder_testkit::eventually;
use redis::{AsyncCommands as _, Client, PushInfo, PushKind, aio::MultiplexedConnection};

async fn connect(url: String) -> MultiplexedConnection {
    let client = Client::open(url).expect("a valid URL");
    client
        .get_multiplexed_async_connection()
        .await
        .expect("the server accepts the connection")
}

#[tokio::test]
async fn commands_and_pipelines_work_in_both_protocols() -> redis::RedisResult<()> {
    let (_server, port) = serve(&Engine::new(), ServeConfig::new()).await;
    for protocol in ["resp2", "resp3"] {
        let mut connection = connect(format!("redis://127.0.0.1:{port}/3?protocol={protocol}")).await;
        () = connection.set("k", 41).await?;
        assert_eq!(connection.incr::<_, _, i64>("k", 1).await?, 42);
        () = connection.hset_multiple("h", &[("a", 1), ("b", 2)]).await?;
        let pairs: std::collections::BTreeMap<String, i64> = connection.hgetall("h").await?;
        assert_eq!(pairs.len(), 2);
        () = connection.zadd("z", "m", 3.3).await?;
        assert_eq!(connection.zscore::<_, _, f64>("z", "m").await?, 3.3);
        let (value, missing): (i64, Option<i64>) = redis::pipe()
            .atomic()
            .get("k")
            .get("absent")
            .query_async(&mut connection)
            .await?;
        assert_eq!((value, missing), (42, None));
        let script = redis::Script::new("return redis.call('GET', KEYS[1]) + ARGV[1]");
        assert_eq!(script.key("k").arg(1).invoke_async::<i64>(&mut connection).await?, 43);
    }
    Ok(())
}

#[tokio::test]
async fn a_password_is_asked_for_and_taken_from_the_url() {
    let (_server, port) = serve(&Engine::new(), ServeConfig::new().requirepass("p w")).await;
    for url in [
        format!("redis://:p%20w@127.0.0.1:{port}/"),
        format!("redis://default:p%20w@127.0.0.1:{port}/?protocol=resp3"),
    ] {
        let pong: String = connect(url).await.ping().await.expect("the password is right");
        assert_eq!(pong, "PONG");
    }
    let wrong = Client::open(format!("redis://:wrong@127.0.0.1:{port}/")).expect("a valid URL");
    let error = wrong
        .get_multiplexed_async_connection()
        .await
        .expect_err("a wrong password");
    assert!(error.to_string().to_lowercase().contains("password"), "{error}");
}

#[tokio::test]
async fn messages_reach_subscribers_in_resp2() {
    let (_server, port) = serve(&Engine::new(), ServeConfig::new()).await;
    let url = format!("redis://127.0.0.1:{port}/");
    let client = Client::open(url.clone()).expect("a valid URL");
    let mut listener = client.get_async_pubsub().await.expect("a connection");
    listener.subscribe("news").await.expect("a confirmation");
    listener.psubscribe("n*").await.expect("a confirmation");
    let reached: i64 = connect(url).await.publish("news", "hello").await.expect("a count");
    assert_eq!(reached, 2);
    let mut messages = listener.on_message();
    for pattern in [None, Some("n*".to_owned())] {
        let message = tokio::time::timeout(PATIENCE, messages.next())
            .await
            .expect("a message was published")
            .expect("the connection stands");
        assert_eq!(message.get_payload::<String>().expect("text"), "hello");
        assert_eq!(message.get_pattern::<Option<String>>().expect("text"), pattern);
    }
}

#[tokio::test]
async fn invalidations_are_pushed_in_resp3() {
    let (_server, port) = serve(&Engine::new(), ServeConfig::new()).await;
    let pushes = Arc::new(Mutex::new(Vec::<PushInfo>::new()));
    let config = redis::AsyncConnectionConfig::new().set_push_sender({
        let pushes = pushes.clone();
        move |push: PushInfo| {
            pushes.lock().expect("nobody panics holding it").push(push);
            Ok::<(), ()>(())
        }
    });
    let client = Client::open(format!("redis://127.0.0.1:{port}/?protocol=resp3")).expect("a valid URL");
    let mut reader = client
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .expect("a connection");
    let tracking = redis::cmd("CLIENT").arg("TRACKING").arg("ON").arg("NOLOOP").to_owned();
    let ok: String = tracking.query_async(&mut reader).await.expect("tracking is on");
    assert_eq!(ok, "OK");
    let absent: Option<String> = reader.get("k").await.expect("an answer");
    assert_eq!(absent, None);
    let mut writer = connect(format!("redis://127.0.0.1:{port}/")).await;
    () = writer.set("k", "v").await.expect("an answer");
    let invalidated = || async {
        pushes
            .lock()
            .expect("nobody panics")
            .iter()
            .any(|push| push.kind == PushKind::Invalidate)
    };
    eventually(PATIENCE, invalidated).await;
}
