//! Private servers start, break and come back as a test tells them to.

use std::{panic::AssertUnwindSafe, time::Duration};

use larder_testkit::{RedisServer, eventually};

#[tokio::test]
async fn a_server_restarts_empty_or_with_its_data() {
    let mut server = RedisServer::start().await;
    let (port, pid) = (server.port(), server.pid());
    server.cli(&["SET", "k", "v"]);
    server.restart_with_data().await;
    assert_eq!(server.cli(&["GET", "k"]), "v");
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);
    server.restart_empty().await;
    assert_eq!(server.cli(&["EXISTS", "k"]), "0");
}

#[tokio::test]
async fn options_and_configuration_reach_the_server() {
    let server = RedisServer::start_with(&["--maxmemory", "2mb"]).await;
    assert!(server.cli(&["CONFIG", "GET", "maxmemory"]).ends_with("2097152"));
    server.config("maxmemory", "0");
    assert!(server.cli(&["CONFIG", "GET", "maxmemory"]).ends_with('0'));
}

#[tokio::test]
async fn a_server_with_a_password_starts() {
    let server = RedisServer::start_with(&["--requirepass", "secret"]).await;
    assert!(server.cli(&["PING"]).starts_with("NOAUTH"));
    assert_eq!(server.cli(&["-a", "secret", "--no-auth-warning", "PING"]), "PONG");
}

/// A paused server accepts connections (the kernel does) and answers nothing until it goes on.
#[tokio::test]
async fn a_paused_server_answers_when_it_goes_on() {
    let server = RedisServer::start().await;
    server.pause();
    let client = redis::Client::open(server.url()).expect("a good address");
    let mut ping = tokio::spawn(async move {
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd("PING").query_async::<String>(&mut connection).await
    });
    assert!(
        tokio::time::timeout(Duration::from_millis(100), &mut ping)
            .await
            .is_err()
    );
    server.resume();
    assert!(ping.await.expect("no panic").is_ok());
}

#[tokio::test]
async fn a_server_dies_with_the_test_that_panics() {
    let server = RedisServer::start().await;
    let port = server.port();
    let caught = std::panic::catch_unwind(AssertUnwindSafe(move || {
        let _server = server;
        panic!("as a failed assertion does");
    }));
    assert!(caught.is_err());
    eventually(Duration::from_secs(5), async || {
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err()
    })
    .await;
}
