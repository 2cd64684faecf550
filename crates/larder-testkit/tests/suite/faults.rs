//! The proxy does what its methods say, and workers report.

use std::time::Duration;

use larder_testkit::{
    Proxy, RedisServer, eventually,
    worker::{self, Worker},
};
use redis::{AsyncCommands as _, aio::MultiplexedConnection};

async fn connect(url: &str) -> MultiplexedConnection {
    let client = redis::Client::open(url).expect("a good address");
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(5)));
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .expect("the server is up")
}

/// While replies are held back the server has done what was asked; while requests are, it has not.
#[tokio::test]
async fn what_is_held_back_arrives_late() -> anyhow::Result<()> {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await?;
    let mut through = connect(&proxy.url()).await;

    proxy.hold_replies();
    let set = tokio::spawn({
        let mut through = through.clone();
        async move { through.set::<_, _, ()>("k", "1").await }
    });
    eventually(Duration::from_secs(5), async || server.cli(&["GET", "k"]) == "1").await;
    assert!(!set.is_finished());
    proxy.let_pass();
    set.await??;

    proxy.hold_requests();
    let set = tokio::spawn({
        let mut through = through.clone();
        async move { through.set::<_, _, ()>("k", "2").await }
    });
    tokio::task::yield_now().await;
    assert_eq!(server.cli(&["GET", "k"]), "1");
    proxy.let_pass();
    set.await??;
    assert_eq!(through.get::<_, String>("k").await?, "2");
    Ok(())
}

#[tokio::test]
async fn a_cut_ends_connections_and_a_refusal_keeps_new_ones_out() -> anyhow::Result<()> {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await?;
    let mut through = connect(&proxy.url()).await;
    proxy.refuse(true);
    assert_eq!(through.exists::<_, u64>("k").await?, 0);
    proxy.cut();
    assert!(through.exists::<_, u64>("k").await.is_err());
    assert!(
        redis::Client::open(proxy.url())?
            .get_multiplexed_async_connection()
            .await
            .is_err()
    );
    proxy.refuse(false);
    assert_eq!(connect(&proxy.url()).await.exists::<_, u64>("k").await?, 0);
    Ok(())
}

#[test]
fn counting_worker() {
    let Some(upto) = worker::job::<u32>() else { return };
    worker::ready();
    for number in 1..=upto {
        worker::report(&number);
    }
}

#[test]
fn a_worker_reports_to_its_parent() {
    let mut worker = Worker::start("faults::counting_worker", &3u32);
    worker.go();
    assert_eq!(worker.finish::<u32>(), [1, 2, 3]);
}

#[test]
fn a_killed_worker_has_no_more_records() {
    let mut worker = Worker::start("faults::counting_worker", &3u32);
    worker.kill();
    assert_eq!(worker.next_record::<u32>(), None);
}
