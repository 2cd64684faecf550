//! The database is away for a while: what is accepted waits in the store, no more than there is room for, and then flows.

use std::time::Duration;

use larder::WriteBehind;
use larder_testkit::{PgServer, eventually};

use super::desk::{Desk, NAMESPACE, SOON, Server, Worker, named};

/// Keys that may wait in one of the 64 partitions.
const ROOM: usize = 8;

/// As long as this each value is: what waits is far more than a flusher may hold.
const VALUE: usize = 64 * 1024;

/// The most memory that the worker may have taken beyond what it had when it was ready. What it takes at a time is one change
/// of each partition, 4 MiB, and some copies of it; all that waits is 32 MiB.
const GROWTH_MAX: u64 = 24 << 20;

fn narrow(behind: WriteBehind) -> WriteBehind {
    behind.max_entries(ROOM).wait(Duration::ZERO)
}

/// The most memory that the process ever had, in bytes.
fn peak_memory(worker: &Worker) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.pid())).expect("it runs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("Linux says it");
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number");
    kib * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_for_a_while_loses_nothing() {
    let mut server = PgServer::start().await;
    let desk = Desk::over(Server::redis().await, server.database(), None)
        .await
        .with_users()
        .await;
    let first = desk.service::<u64>(|behind| behind).await;
    // Each partition has its epoch from the database.
    for id in 0..64 * ROOM as u64 {
        first.put(&id, named("before")).await.expect("is accepted");
    }
    desk.larder(&["worker", "--namespace", NAMESPACE], &["--once"]).ended(0);
    drop(first);
    let service = desk.service::<u64>(narrow).await;
    let worker = desk.worker(&["--batch", "8", "--concurrency", "2"]).await;
    let before = peak_memory(&worker);
    server.kill();

    let long = "x".repeat(VALUE);
    let (mut accepted, mut refused) = (Vec::new(), 0);
    for id in 0..64 * 2 * ROOM as u64 {
        match service.put(&id, named(&format!("{id} {long}"))).await {
            Ok(_) => accepted.push(id),
            Err(error) if error.is_backpressure() => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(
        refused > 0 && accepted.len() <= 64 * ROOM,
        "{refused} refused, {} accepted",
        accepted.len()
    );
    worker.says("not flushed, and tried again").await;
    assert_eq!(service.lag().await.expect("answers").entries, accepted.len() as u64);
    // What waits is read, whether or not the database is there.
    let read = service.get(&accepted[0]).await.expect("reads").expect("it waits");
    assert_eq!(read["name"], format!("{} {long}", accepted[0]));
    // An end without the database says what is left.
    let once = desk.larder(&["worker", "--namespace", NAMESPACE], &["--once", "--drain", "1s"]);
    once.ended(1).says(&["PostgreSQL"]);

    server.restart().await;
    eventually(SOON, async || service.lag().await.expect("answers").entries == 0).await;
    worker.says("flushed again").await;
    let grown = peak_memory(&worker).saturating_sub(before);
    assert!(grown < GROWTH_MAX, "it took {grown} bytes more");
    // The pool of the test has connections of the time before.
    for id in &accepted {
        eventually(SOON, async || {
            desk.name_or_trouble(*id).await == Ok(Some(format!("{id} {long}")))
        })
        .await;
    }
    let (code, said) = worker.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(desk.letters(), Vec::<String>::new());
}
