//! What cannot work is refused before anything is taken: taken for a table that refuses it, all of it would be dead letters.

use super::desk::{Desk, NAMESPACE, Server, named};
use crate::run::larder;

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_not_ready_or_belongs_to_others_is_refused() {
    let mut desk = Desk::sqlite(Server::redis().await).await;
    let service = desk.service::<u64>(|behind| behind).await;
    service.put(&1, named("Ada")).await.expect("is accepted");
    desk.run(
        "CREATE TABLE bare (id BIGINT PRIMARY KEY); CREATE TABLE keyless (id BIGINT); \
         CREATE TABLE bytes (id BLOB PRIMARY KEY); \
         CREATE TABLE wide (a TEXT, b TEXT, c TEXT, d TEXT, e TEXT, PRIMARY KEY (a, b, c, d, e))",
    )
    .await;
    let once = |desk: &Desk, namespace: &str| desk.larder(&["worker", "--namespace", namespace], &["--once"]);
    once(&desk, "other")
        .ended(1)
        .says(&["belongs to the namespace \"user\"", "hint:"]);
    for (table, says) in [
        ("bare", "larder sql prepare"),
        ("keyless", "add --key COLUMN"),
        ("bytes", "let a process of the service flush"),
        ("wide", "has 5 columns"),
        ("nowhere", "no table \"nowhere\""),
        ("users; DROP TABLE users", "never runs as SQL"),
    ] {
        desk.table = table.to_owned();
        once(&desk, NAMESPACE).ended(1).says(&[says]);
        desk.larder(&["dlq", "replay", "--namespace", NAMESPACE], &["--all"])
            .ended(1)
            .says(&[says]);
    }
    assert_eq!(service.lag().await.expect("answers").entries, 1, "nothing was taken");
    assert_eq!(desk.letters(), Vec::<String>::new());
    desk.table = "users".to_owned();
    once(&desk, NAMESPACE).ended(0);
    assert_eq!(desk.name(1).await.as_deref(), Some("Ada"));
}

#[test]
fn wrong_usage_is_named() {
    const WORKER: [&str; 7] = [
        "worker",
        "--namespace",
        "user",
        "--table",
        "users",
        "--db",
        "nowhere.db",
    ];
    larder(&WORKER).ended(2).says(&["none was named", "--store"]);
    larder(&[&WORKER[..], &["--store", "embedded:"]].concat())
        .ended(2)
        .says(&["`embedded:`"]);
    larder(&WORKER[..5]).ended(2).says(&["--db"]);
    larder(&[&WORKER[..], &["--visibility", "2h"]].concat())
        .ended(2)
        .says(&["--visibility"]);
    larder(&["dlq", "drop", "--namespace", "user"])
        .ended(2)
        .says(&["--all"]);
    larder(&["dlq", "drop", "--namespace", "user", "--all", "7-3-1"]).ended(2);
    larder(&["dlq", "show", "--namespace", "user", "x"])
        .ended(2)
        .says(&["7-3-121"]);
    larder(&["dlq", "list", "--namespace", "", "--store", "redis://127.0.0.1:1"]).ended(1);
}

/// Damage, or a value written by a version of Larder that this one does not know: it is no reason to stop, and none to drop.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_cannot_be_read_is_a_dead_letter_that_says_so() {
    let desk = Desk::sqlite(Server::redis().await).await;
    let service = desk.service::<u64>(|behind| behind).await;
    for id in 0..3 {
        service.put(&id, named("Ada")).await.expect("is accepted");
    }
    let place = desk.larder_on(&["keys", "user:*:d"]).out;
    let place = place.lines().next().expect("some partition has a change");
    let field = desk.larder_on(&["exec", "HKEYS", place]).ended(0).out;
    let field = field.lines().next().expect("it has a key").to_owned();
    desk.larder_on(&[
        "exec",
        "HSET",
        place,
        &field,
        "no record at all, but long enough to be taken for one",
    ])
    .ended(0);
    let run = desk.larder(&["worker", "--namespace", NAMESPACE], &["--once"]).ended(0);
    assert!(run.out.contains("1 dead letter"), "{}", run.out);
    assert_eq!(desk.count("SELECT count(*) FROM users").await, 2, "the others flow");
    let [id] = desk.letters().try_into().expect("one");
    let shown = desk.dlq("show", &[&id]).ended(0).out;
    assert!(shown.contains("unreadable") && shown.contains("damaged"), "{shown}");
    desk.larder(&["dlq", "replay", "--namespace", NAMESPACE], &[&id])
        .ended(1)
        .says(&["damaged"]);
    desk.dlq("drop", &[&id]).ended(0);
}

/// Read without its type, such a number would come out as another one. The service, which has the type, replays it.
#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_would_be_rounded_is_a_dead_letter_that_says_so() {
    /// A value that only its own type reads exactly.
    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    struct Balance {
        name: String,
        wei: u128,
    }

    let desk = Desk::postgres(Server::redis().await).await;
    desk.run("ALTER TABLE users ADD COLUMN wei numeric").await;
    let service = desk.service_of::<u64, Balance>(|behind| behind).await;
    for (id, wei) in [(1, 7), (2, u128::MAX)] {
        let name = "Ada".to_owned();
        service.put(&id, Balance { name, wei }).await.expect("is accepted");
    }
    let run = desk.larder(&["worker", "--namespace", NAMESPACE], &["--once"]).ended(0);
    assert!(run.out.contains("1 dead letter"), "{}", run.out);
    assert_eq!(desk.count("SELECT count(*) FROM users WHERE wei = 7").await, 1);
    let shown = desk.dlq("show", &[&desk.letters()[0]]).ended(0).out;
    assert!(shown.contains("would be rounded"), "{shown}");
    let id = service.dead_letters().await.expect("answers")[0].id;
    assert!(service.replay_dead_letter(id).await.expect("the service has the type"));
    let exact = "SELECT count(*) FROM users WHERE wei = 340282366920938463463374607431768211455";
    assert_eq!(desk.count(exact).await, 1);
}
