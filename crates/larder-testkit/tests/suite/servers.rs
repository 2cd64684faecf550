//! Private servers start, break and come back as a test tells them to.

use std::{panic::AssertUnwindSafe, path::Path, time::Duration};

use larder_testkit::{LarderServer, PgServer, Proxy, RedisServer, Wire, eventually};

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

/// What was acknowledged after the save is lost, and nothing else.
#[tokio::test]
async fn a_server_restarts_from_an_old_save() {
    let mut server = RedisServer::start().await;
    server.cli(&["SET", "saved", "1"]);
    server.save();
    server.cli(&["SET", "later", "1"]);
    server.kill();
    server.restart_from_save().await;
    assert_eq!(
        (server.cli(&["EXISTS", "saved"]), server.cli(&["EXISTS", "later"])),
        ("1".into(), "0".into())
    );
}

/// The kernel ties a child to the thread that started it, and tests hand servers from thread to thread.
#[tokio::test]
async fn a_server_outlives_the_thread_that_started_it() {
    let start = || {
        let thread = std::fs::read_link("/proc/thread-self").expect("Linux shows it");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let redis = runtime.expect("a runtime").block_on(RedisServer::start());
        (thread, redis, LarderServer::start())
    };
    let (thread, redis, larder) = std::thread::spawn(start).join().expect("they start");
    // Only then has the kernel told the children.
    eventually(Duration::from_secs(10), async || {
        !Path::new("/proc").join(&thread).exists()
    })
    .await;
    for port in [redis.port(), larder.port()] {
        let pong = Wire::tcp(port).call(&["PING"]);
        assert_eq!(pong.expect("it runs").text(), "PONG");
    }
}

/// A replica that is cut off and promoted lacks what its primary acknowledged meanwhile.
#[tokio::test]
async fn a_failover_can_lose_the_tail() {
    let primary = RedisServer::start().await;
    let between = Proxy::start(primary.port()).await.expect("loopback has a free port");
    primary.cli(&["SET", "early", "1"]);
    let replica = RedisServer::start_replica_of(between.port()).await;
    assert_eq!(replica.cli(&["GET", "early"]), "1");
    between.hold_replies();
    primary.cli(&["SET", "tail", "1"]);
    replica.promote();
    replica.cli(&["SET", "writable", "1"]);
    between.normal();
    assert_eq!(
        (replica.cli(&["GET", "early"]), replica.cli(&["EXISTS", "tail"])),
        ("1".into(), "0".into())
    );
}

#[tokio::test]
async fn killed_clients_lose_their_connections_and_the_server_lives() {
    let server = RedisServer::start().await;
    let client = redis::Client::open(server.url()).expect("a good address");
    let mut connection = client
        .get_multiplexed_async_connection()
        .await
        .expect("the server is up");
    server.kill_clients();
    assert!(redis::cmd("PING").query_async::<String>(&mut connection).await.is_err());
    assert_eq!(server.cli(&["PING"]), "PONG");
}

#[test]
fn larder_serve_restarts_empty_on_its_port() {
    let mut server = LarderServer::start();
    let (port, pid) = (server.port(), server.pid());
    Wire::tcp(port).call(&["SET", "k", "v"]).expect("the server is up");
    server.restart();
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);
    let gone = Wire::tcp(port).call(&["EXISTS", "k"]).expect("the server is up");
    assert_eq!(gone.int(), 0);
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
        let patient = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let mut connection = client.get_multiplexed_async_connection_with_config(&patient).await?;
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
    eventually(Duration::from_secs(20), async || {
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err()
    })
    .await;
}

/// What was committed survives `kill -9`, and the connections of clients do not.
#[tokio::test]
async fn a_database_comes_back_with_what_it_committed() {
    let mut server = PgServer::start().await;
    let url = server.database();
    let name = url.rsplit('/').next().expect("a URL has a path");
    server.sql(name, "CREATE TABLE t (n int); INSERT INTO t VALUES (42)");
    let (port, pid) = (server.port(), server.pid());
    server.restart().await;
    assert_eq!(server.sql(name, "SELECT n FROM t"), "42");
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);
    server.kill();
    server.restart().await;
    assert_eq!(server.sql(name, "SELECT n FROM t"), "42");
}

/// Also one that is stopped, or killed and not started again: no process and no file stays behind.
#[tokio::test]
async fn a_database_is_gone_when_it_is_dropped() {
    let folders = || -> Vec<std::path::PathBuf> {
        let all = std::fs::read_dir(std::env::temp_dir()).expect("there is one");
        let all = all.filter_map(|entry| Some(entry.ok()?.path()));
        all.filter(|path| path.to_string_lossy().contains("larder-pg-"))
            .collect()
    };
    for end in [
        |server: &mut PgServer| server.pause(),
        PgServer::kill,
        |_: &mut PgServer| (),
    ] {
        let mut server = PgServer::start().await;
        let (pid, port) = (server.pid(), server.port());
        let owns = |folder: &std::path::PathBuf| folder.join(format!(".s.PGSQL.{port}")).exists();
        let own: Vec<_> = folders().into_iter().filter(owns).collect();
        assert_eq!(own.len(), 1, "{own:?}");
        end(&mut server);
        drop(server);
        assert!(!own[0].exists(), "{own:?}");
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "{pid}");
    }
}
