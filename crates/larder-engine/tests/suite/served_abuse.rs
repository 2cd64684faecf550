//! Clients that send nonsense, stay silent, do not read or are too many harm nobody but themselves.

use std::time::Duration;

use super::common::{PATIENCE, Raw, serve};
use larder_base::Clock;
use larder_engine::{
    Engine, Reply,
    serve::{ServeConfig, Server},
};
use larder_testkit::eventually;

#[tokio::test]
async fn announced_lengths_and_half_requests_cost_the_server_nothing() {
    let (server, port) = serve(&Engine::new(), ServeConfig::new()).await;
    let mut waiting = Vec::new();
    for request in [
        "*1048576\r\n$536870912\r\n",
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nbegun",
        "*1000000\r\n",
        "*1\r\n$4\r\nPIN",
        "PIN",
        "$",
        "*",
    ] {
        for _ in 0..20 {
            let mut raw = Raw::connect(port).await;
            raw.send(request).await;
            waiting.push(raw);
        }
    }
    let mut other = Raw::connect(port).await;
    assert_eq!(other.ask("SET k v").await, "+OK\r\n");
    assert_eq!(server.connections(), waiting.len() + 1);
    drop(waiting);
    eventually(PATIENCE, || async { server.connections() == 1 }).await;
}

#[tokio::test]
async fn a_thousand_idle_clients_are_no_burden() {
    let (server, port) = serve(&Engine::new(), ServeConfig::new()).await;
    let mut idle = Vec::new();
    for _ in 0..1_000 {
        idle.push(Raw::connect(port).await);
    }
    eventually(PATIENCE, || async { server.connections() == 1_000 }).await;
    for raw in idle.iter_mut().step_by(100) {
        assert_eq!(raw.ask("INCR n").await.chars().next(), Some(':'));
    }
    assert!(server.shutdown(PATIENCE).await, "idle clients do not hold a server up");
    for raw in &mut idle {
        assert_eq!(raw.read_to_end().await, "");
    }
}

#[tokio::test]
async fn one_client_too_many_is_told_so() {
    let (server, port) = serve(&Engine::new(), ServeConfig::new().clients_max(2)).await;
    let mut first = Raw::connect(port).await;
    first.ask("PING").await;
    let mut second = Raw::connect(port).await;
    second.ask("PING").await;
    let mut third = Raw::connect(port).await;
    assert_eq!(third.read_to_end().await, "-ERR max number of clients reached\r\n");
    drop(first);
    eventually(PATIENCE, || async { server.connections() == 1 }).await;
    assert_eq!(Raw::connect(port).await.ask("PING").await, "+PONG\r\n");
}

#[tokio::test]
async fn a_subscriber_that_does_not_read_is_cut_off_and_the_publisher_is_not() {
    let engine = Engine::new();
    let (server, port) = serve(&engine, ServeConfig::new()).await;
    let mut publisher = Raw::connect(port).await;
    publisher
        .ask("CONFIG SET client-output-buffer-limit \"pubsub 1mb 0 0\"")
        .await;
    let mut slow = Raw::connect(port).await;
    slow.ask("SUBSCRIBE c").await;
    let message = format!("PUBLISH c {}\r\n", "x".repeat(100_000));
    let mut reached = 0;
    // The sockets' own buffers take some megabytes before the server's begins to fill.
    for _ in 0..1_000 {
        publisher.send(&message).await;
        match publisher.until("\r\n").await.as_str() {
            ":0\r\n" => break,
            _ => reached += 1,
        }
    }
    assert!(reached < 1_000, "the subscriber was never cut off");
    eventually(PATIENCE, || async { server.connections() == 1 }).await;
    assert_eq!(publisher.ask("PING").await, "+PONG\r\n");
}

#[tokio::test]
async fn a_client_that_asks_for_more_than_it_reads_is_cut_off() {
    let (server, port) = serve(&Engine::new(), ServeConfig::new()).await;
    let mut greedy = Raw::connect(port).await;
    greedy
        .ask("CONFIG SET client-output-buffer-limit \"normal 1mb 0 0\"")
        .await;
    greedy.ask(&format!("SET k {}", "x".repeat(50_000))).await;
    greedy.send("GET k\r\n".repeat(2_000)).await;
    eventually(PATIENCE, || async { server.connections() == 0 }).await;
}

#[tokio::test]
async fn the_limit_of_unread_replies_holds_within_one_write() {
    const LIMIT: usize = 3 << 20;
    let engine = Engine::new();
    let (server, port) = serve(&engine, ServeConfig::new()).await;
    let mut other = Raw::connect(port).await;
    other
        .ask(&format!("CONFIG SET client-output-buffer-limit \"normal {LIMIT} 0 0\""))
        .await;
    let session = engine.connect();
    let set = session.execute(&[b"SET", b"k", &[b'x'; 1 << 20]]);
    assert_eq!(set, Reply::Ok);
    let mut greedy = Raw::connect(port).await;
    greedy.ask("PING").await;
    greedy.send("GET k\r\nINCR ran\r\n".repeat(100)).await;
    eventually(PATIENCE, || async { server.connections() == 1 }).await;
    let ran = other.ask("GET ran").await;
    let ran: usize = ran.lines().last().and_then(|n| n.parse().ok()).expect("some did run");
    // Some more than the limit if the requests arrived in two pieces and the sockets took replies in between.
    assert!(ran < 50, "{ran} replies were buffered");
}

#[tokio::test]
async fn a_silent_client_is_closed_and_a_subscriber_is_not() {
    let (clock, hand) = Clock::manual();
    let engine = Engine::builder().clock(clock).build();
    let config = ServeConfig::new().idle_timeout(Duration::from_secs(60));
    let (server, port) = serve(&engine, config).await;
    let mut silent = Raw::connect(port).await;
    let mut subscriber = Raw::connect(port).await;
    silent.ask("PING").await;
    subscriber.ask("SUBSCRIBE c").await;
    hand.advance(Duration::from_secs(59));
    assert_eq!(silent.ask("PING").await, "+PONG\r\n", "it spoke in time");
    hand.advance(Duration::from_secs(59));
    assert_eq!(server.connections(), 2);
    hand.advance(Duration::from_secs(2));
    assert_eq!(silent.read_to_end().await, "");
    eventually(PATIENCE, || async { server.connections() == 1 }).await;
    subscriber.ask("PING").await;
}

#[tokio::test]
async fn a_killed_client_runs_nothing_more() {
    let (server, port) = serve(&Engine::new(), ServeConfig::new()).await;
    let mut killer = Raw::connect(port).await;
    let mut victim = Raw::connect(port).await;
    let id = victim.ask("CLIENT ID").await;
    let id = id.trim_start_matches(':').trim_end();
    assert_eq!(killer.ask(&format!("CLIENT KILL ID {id}")).await, ":1\r\n");
    assert_eq!(victim.read_to_end().await, "");
    eventually(PATIENCE, || async { server.connections() == 1 }).await;
    let list = killer.ask("CLIENT LIST").await;
    assert!(!list.contains(&format!("id={id} ")), "{list}");
    killer.send("CLIENT KILL TYPE normal SKIPME no\r\n").await;
    assert_eq!(killer.read_to_end().await, ":1\r\n", "it is answered before it goes");
}

#[tokio::test]
async fn a_shutdown_answers_what_has_arrived() {
    let (server, port) = serve(&Engine::new(), ServeConfig::new()).await;
    let mut raw = Raw::connect(port).await;
    raw.ask("PING").await;
    raw.send("SET k v\r\nGET k\r\n").await;
    assert_eq!(raw.until("v\r\n").await, "+OK\r\n$1\r\nv\r\n");
    assert!(server.shutdown(PATIENCE).await);
    assert_eq!(raw.read_to_end().await, "");
    assert!(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

#[tokio::test]
async fn a_server_that_others_can_reach_wants_a_password() {
    let open = ServeConfig::new().bind("0.0.0.0:0");
    let refused = Server::start(Engine::new(), open.clone())
        .await
        .expect_err("no password");
    assert!(refused.to_string().contains("requirepass"), "{refused}");
    for config in [open.clone().requirepass("secret"), open.unprotected()] {
        let server = Server::start(Engine::new(), config).await.expect("now it may");
        assert!(server.shutdown(PATIENCE).await);
    }
}

#[tokio::test]
async fn a_unix_socket_replaces_one_that_nobody_listens_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("engine.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a free path"));
    assert!(path.exists(), "left behind");
    let config = ServeConfig::new().unix(&path);
    let server = Server::start(Engine::new(), config.clone())
        .await
        .expect("it is abandoned");
    assert_eq!(server.local_addr(), None);
    let url = format!("redis+unix://{}", path.display());
    let client = redis::Client::open(url).expect("a valid URL");
    let mut connection = client
        .get_multiplexed_async_connection()
        .await
        .expect("a server listens");
    let pong: String = redis::cmd("PING")
        .query_async(&mut connection)
        .await
        .expect("an answer");
    assert_eq!(pong, "PONG");
    Server::start(Engine::new(), config).await.expect_err("it is in use");
    assert!(server.shutdown(PATIENCE).await);
    assert!(!path.exists(), "the socket goes with its server");
}
