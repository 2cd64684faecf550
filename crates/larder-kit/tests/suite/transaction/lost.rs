//! Answers that do not come: a commit of unknown outcome is told, and never sent again.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use larder_kit::transaction::{TransactionError, Transactions, Watched};
use larder_store::Store;
use larder_testkit::{Proxy, RedisServer, eventually};
use redis::AsyncCommands as _;

/// Bounds a hang, and nothing else.
const HANG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_told_and_not_repeated() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await.expect("loopback has a free port");
    let store = Store::open(&proxy.url()).await.expect("opens");
    let ours = Transactions::builder("lost").store(&store).build().expect("builds");
    let runs = AtomicU32::new(0);
    let work = ours.run(["n"], async |mut watched: Watched| {
        runs.fetch_add(1, Ordering::Relaxed);
        let n: Option<u64> = watched.get("n").await?;
        proxy.hold_replies();
        let write = redis::pipe().set_ex("n", n.unwrap_or(0) + 1, 600).ignore().to_owned();
        watched.commit::<()>(write).await
    });
    let accident = async {
        eventually(HANG, async || server.cli(&["GET", "n"]).trim() == "1").await;
        proxy.cut();
    };
    let (done, ()) = tokio::join!(work, accident);
    let error = done.expect_err("nobody answered");
    assert!(error.is_unknown_outcome() && error.is_connection(), "{error}");
    proxy.normal();
    assert_eq!(
        (runs.load(Ordering::Relaxed), server.cli(&["GET", "n"]).trim()),
        (1, "1")
    );

    // The next one goes through, on another connection.
    let next = ours.run(["n"], async |mut watched: Watched| {
        let n: u64 = watched.get("n").await?;
        Ok::<_, TransactionError>(watched.leave(n))
    });
    assert_eq!(next.await.expect("answered"), 1);
}
