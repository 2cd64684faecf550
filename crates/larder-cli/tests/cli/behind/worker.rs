//! What services write behind reaches the database through a worker, whoever is killed, and in whatever words keys are.

use larder::{SqlTable, WriteBehind};
use larder_testkit::eventually;
use serde_json::json;

use super::desk::{Desk, NAMESPACE, Row, SOON, Server, named};

const ROWS: &str = "SELECT count(*) FROM users";

async fn flushes_and_ends(desk: Desk) {
    let service = desk.service::<u64>(|behind| behind).await;
    let worker = desk.worker(&[]).await;
    for id in 0..50 {
        service.put(&id, named("first")).await.expect("is accepted");
    }
    desk.comes_to(ROWS, 50).await;
    // The end flushes what is not due yet.
    service.put(&0, named("last")).await.expect("is accepted");
    service.remove(&1).await.expect("is accepted");
    let (code, said) = worker.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("nothing waits"), "{said}");
    assert_eq!(desk.count(ROWS).await, 49);
    assert_eq!(desk.name(0).await.as_deref(), Some("last"));
    assert_eq!(service.lag().await.expect("answers").entries, 0);
    // What came meanwhile is flushed by a run that ends by itself.
    service.put(&1, named("again")).await.expect("is accepted");
    let document = desk
        .larder(&["worker", "--namespace", NAMESPACE], &["--once", "--json"])
        .ended(0)
        .json();
    assert_eq!(
        (&document["flushed"], &document["left"]),
        (&json!(1), &json!(0)),
        "{document}"
    );
    assert_eq!(desk.name(1).await.as_deref(), Some("again"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_flushes_from_redis_into_postgres() {
    flushes_and_ends(Desk::postgres(Server::redis().await).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_flushes_from_larder_serve_into_sqlite() {
    flushes_and_ends(Desk::sqlite(Server::larder()).await).await;
}

/// Names that are SQL elsewhere, keys of several parts with everything in them that separates parts.
async fn odd_names_and_composite_keys(mut desk: Desk) {
    desk.run(r#"CREATE TABLE "x; DROP TABLE users" (region TEXT, id BIGINT, name TEXT, PRIMARY KEY (region, id))"#)
        .await;
    desk.table = "x; DROP TABLE users".to_owned();
    desk.run("UPDATE larder_tables SET namespace = 'other'").await;
    desk.larder(&["sql", "prepare"], &["--namespace", NAMESPACE]).ended(0);
    let service = desk.service::<(String, u64)>(|behind| behind).await;
    let regions = [
        "eu:1",
        "eu",
        "'; DROP TABLE users; --",
        "%3A{x}",
        "größe\r\n\u{1b}[2J",
        "",
    ];
    for (id, region) in regions.iter().enumerate() {
        let row: Row = named(region);
        service
            .put(&((*region).to_owned(), id as u64), row)
            .await
            .expect("is accepted");
    }
    let worker = desk.worker(&[]).await;
    let alike = r#"SELECT count(*) FROM "x; DROP TABLE users" WHERE region = name"#;
    desk.comes_to(alike, regions.len() as i64).await;
    let (code, said) = worker.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(desk.count(ROWS).await, 0, "it is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_names_and_composite_keys_of_postgres() {
    odd_names_and_composite_keys(Desk::postgres(Server::larder()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_names_and_composite_keys_of_sqlite() {
    odd_names_and_composite_keys(Desk::sqlite(Server::redis().await).await).await;
}

/// What services count reaches the column that the worker is told.
async fn counts(mut desk: Desk) {
    desk.run("CREATE TABLE hits (page TEXT PRIMARY KEY, n BIGINT)").await;
    desk.run("UPDATE larder_tables SET namespace = 'other'").await;
    desk.table = "hits".to_owned();
    desk.larder(&["sql", "prepare"], &["--namespace", NAMESPACE]).ended(0);
    let table = SqlTable::new(desk.pool.clone(), "hits").counter("n");
    let service = desk.service_over::<String, Row>(table, |behind| behind).await;
    let page = "'; DROP TABLE hits; --".to_owned();
    for n in 1..=20 {
        assert_eq!(service.incr(&page, 2).await.expect("is accepted"), 2 * n);
    }
    let worker = desk.worker(&["--counter", "n"]).await;
    desk.comes_to("SELECT count(*) FROM hits WHERE n = 40", 1).await;
    service.decr(&page, 1).await.expect("is accepted");
    let (code, said) = worker.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(desk.count("SELECT n FROM hits").await, 39);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_counts_from_redis_into_postgres() {
    counts(Desk::postgres(Server::redis().await).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_counts_from_larder_serve_into_sqlite() {
    counts(Desk::sqlite(Server::larder()).await).await;
}

/// Killed in the middle of a commit, which it had taken changes for: another worker takes them over.
#[tokio::test(flavor = "multi_thread")]
async fn another_worker_finishes_what_a_killed_one_began() {
    let desk = Desk::postgres(Server::redis().await).await;
    let service = desk.service::<u64>(|behind| behind).await;
    for id in 0..300 {
        service.put(&id, named("old")).await.expect("is accepted");
    }
    let mut transaction = desk.pool.postgres().expect("it is").begin().await.expect("begins");
    sqlx::query("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *transaction)
        .await
        .expect("locks");
    let mut first = desk.worker(&["--visibility", "2s"]).await;
    let stuck = "SELECT count(*) FROM pg_stat_activity \
                 WHERE application_name = 'larder worker' AND wait_event_type = 'Lock' AND datname = current_database()";
    eventually(SOON, async || desk.count(stuck).await > 0).await;
    first.kill();
    transaction.rollback().await.expect("unlocks");
    // Written meanwhile: what the first one took must not come over it.
    for id in 0..100 {
        service.put(&id, named("new")).await.expect("is accepted");
    }
    let second = desk.worker(&["--visibility", "2s"]).await;
    desk.comes_to("SELECT count(*) FROM users WHERE id < 100 AND name = 'new'", 100)
        .await;
    desk.comes_to("SELECT count(*) FROM users WHERE id >= 100 AND name = 'old'", 200)
        .await;
    let (code, said) = second.end();
    assert_eq!((code, desk.count(ROWS).await), (Some(0), 300), "{said}");
}

/// Killed at any moment, again and again, beside a service that goes on writing.
#[tokio::test(flavor = "multi_thread")]
async fn workers_that_are_killed_again_and_again_lose_nothing() {
    const KILLS: i64 = 5;
    const EACH: i64 = 100;
    let desk = Desk::sqlite(Server::larder()).await;
    let service = desk.service::<u64>(|behind: WriteBehind| behind).await;
    let mut worker = desk.worker(&["--visibility", "1s", "--batch", "7"]).await;
    for kill in 1..=KILLS {
        let writes = async {
            for id in (kill - 1) * EACH..kill * EACH {
                service
                    .put(&(id as u64), named(&format!("user {id}")))
                    .await
                    .expect("is accepted");
            }
        };
        let killed = async {
            let begun = (kill - 1) * EACH;
            eventually(SOON, async || desk.count(ROWS).await > begun).await;
            worker.kill();
        };
        tokio::join!(writes, killed);
        worker = desk.worker(&["--visibility", "1s", "--batch", "7"]).await;
        desk.comes_to(ROWS, kill * EACH).await;
    }
    desk.comes_to("SELECT count(*) FROM users WHERE name = 'user ' || id", KILLS * EACH)
        .await;
    let (code, said) = worker.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(service.lag().await.expect("answers").entries, 0);
}
