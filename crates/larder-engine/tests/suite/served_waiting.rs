//! Commands that wait, over a connection.

use super::common::{PATIENCE, Raw, serve};
use larder_engine::{Engine, Fsync, LogConfig, serve::ServeConfig};
use larder_testkit::eventually;

async fn until_blocked(main: &mut Raw, count: usize) {
    let line = format!("blocked_clients:{count}\r\n");
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !main.ask("INFO clients").await.contains(&line) {
        assert!(tokio::time::Instant::now() < deadline, "never {line}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_comes_behind_a_waiting_command_waits_with_it() {
    let (_server, port) = serve(&Engine::new(), ServeConfig::new()).await;
    let (mut main, mut waiter) = (Raw::connect(port).await, Raw::connect(port).await);
    waiter.send("BLPOP jobs 0\r\nPING one\r\n").await;
    until_blocked(&mut main, 1).await;
    waiter.send("PING two\r\n").await;
    assert_eq!(main.ask("RPUSH jobs a").await, ":1\r\n");
    let answers = waiter.until("$3\r\ntwo\r\n").await;
    assert_eq!(answers, "*2\r\n$4\r\njobs\r\n$1\r\na\r\n$3\r\none\r\n$3\r\ntwo\r\n");
}

#[tokio::test]
async fn a_connection_that_is_gone_takes_nothing() {
    let (_server, port) = serve(&Engine::new(), ServeConfig::new()).await;
    let mut main = Raw::connect(port).await;
    let mut waiter = Raw::connect(port).await;
    waiter.send("BLPOP jobs 0\r\n").await;
    until_blocked(&mut main, 1).await;
    drop(waiter);
    until_blocked(&mut main, 0).await;
    main.ask("RPUSH jobs a").await;
    assert_eq!(main.ask("LLEN jobs").await, ":1\r\n");
}

#[tokio::test]
async fn a_wait_ends_by_time_by_others_and_with_the_server() {
    let (server, port) = serve(&Engine::new(), ServeConfig::new()).await;
    let (mut main, mut waiter) = (Raw::connect(port).await, Raw::connect(port).await);
    assert_eq!(waiter.ask("BLPOP jobs 0.01").await, "*-1\r\n");
    waiter.send("CLIENT ID\r\n").await;
    let id = waiter.until("\r\n").await.trim_matches([':', '\r', '\n']).to_owned();
    waiter.send("BLPOP jobs 0\r\n").await;
    until_blocked(&mut main, 1).await;
    assert_eq!(main.ask(&format!("CLIENT UNBLOCK {id} ERROR")).await, ":1\r\n");
    assert_eq!(
        waiter.until("\r\n").await,
        "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"
    );
    assert_eq!(main.ask(&format!("CLIENT UNBLOCK {id}")).await, ":0\r\n");
    waiter.send("BLPOP jobs 0\r\n").await;
    until_blocked(&mut main, 1).await;
    assert!(server.shutdown(PATIENCE).await, "nobody has to be cut off");
    assert_eq!(waiter.read_to_end().await, "");
}

#[tokio::test]
async fn what_was_taken_is_in_the_log_before_it_is_given() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || {
        let config = LogConfig::new(folder.path()).fsync(Fsync::Always);
        Engine::builder().open(config).expect("the log is whole")
    };
    let engine = open();
    let (server, port) = serve(&engine, ServeConfig::new()).await;
    let (mut main, mut waiter) = (Raw::connect(port).await, Raw::connect(port).await);
    waiter.send("BLMOVE jobs taken LEFT RIGHT 0\r\n").await;
    until_blocked(&mut main, 1).await;
    main.ask("RPUSH jobs a b").await;
    assert_eq!(waiter.until("a\r\n").await, "$1\r\na\r\n");
    waiter.send("BLPOP none jobs 0\r\n").await;
    assert_eq!(waiter.until("b\r\n").await, "*2\r\n$4\r\njobs\r\n$1\r\nb\r\n");
    drop((server, engine));
    eventually(PATIENCE, async || {
        let config = LogConfig::new(folder.path()).fsync(Fsync::Always);
        Engine::builder().open(config).is_ok()
    })
    .await;
    let engine = open();
    let session = engine.connect();
    assert_eq!(format!("{:?}", session.execute(&[b"EXISTS", b"jobs"])), "Int(0)");
    assert_eq!(
        format!("{:?}", session.execute(&[b"LRANGE", b"taken", b"0", b"-1"])),
        "Array([Bulk([97])])"
    );
}
