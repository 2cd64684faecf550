//! The tour runs every scene, keeps every promise, and can be read by people and programs.

use larder_testkit::{PgServer, RedisServer};
use serde_json::{Value, json};

use crate::run::{entries, larder, larder_fed};

#[test]
fn every_scene_keeps_its_promises_on_the_embedded_store() {
    let run = larder(&["demo", "--json", "--lookups", "1000"]).ended(0);
    let document = run.json();
    assert_eq!(document["ok"], true, "{document:#}");
    let scenes = document["scenes"].as_array().expect("scenes are a list");
    let listed = larder(&["demo", "--list", "--json"]).ended(0).json();
    assert_eq!(Some(scenes.len()), listed["scenes"].as_array().map(Vec::len));
    for scene in scenes {
        assert_eq!(scene["ok"], true, "{scene:#}");
        assert!(
            scene["lesson"].as_str().is_some_and(|lesson| !lesson.is_empty()),
            "{scene:#}"
        );
    }
    assert!(run.err.contains("Progress: 10.0% (100/1000 records)"), "{}", run.err);
}

#[tokio::test]
async fn every_scene_keeps_its_promises_on_a_redis_server_and_leaves_only_the_plain_key() {
    let server = RedisServer::start().await;
    let url = server.url();
    let run = tokio::task::spawn_blocking(move || larder(&["demo", "--store", &url, "--lookups", "500"])).await;
    let run = run.expect("does not panic").ended(0);
    assert!(run.out.contains("every promise held"), "{}", run.out);
    assert!(run.out.contains("at most 1s behind"), "{}", run.out);
    let left = server.cli(&["KEYS", "*"]);
    assert_eq!(left.trim(), "user:42");
    let json: serde_json::Value = serde_json::from_str(server.cli(&["GET", "user:42"]).trim()).expect("JSON");
    assert_eq!(json["id"], 42);
}

/// The killed flushers of the scene `behind` lost nothing, and what is written by hand did.
fn nothing_was_lost(scene: &Value) {
    let figures = &scene["figures"];
    assert_eq!(
        (&figures["flushers_killed"], &figures["lost_writes"]),
        (&json!(3), &json!(0)),
        "{scene:#}"
    );
    for (figure, least) in [
        ("writes_waiting_at_the_kills", 1),
        ("lost_writes_popped_first", 60),
        ("lost_writes_queue_in_memory", 60),
    ] {
        assert!(
            figures[figure].as_u64().is_some_and(|n| n >= least),
            "{figure}: {scene:#}"
        );
    }
}

#[tokio::test]
async fn killed_flushers_lose_nothing_on_either_store() {
    let server = RedisServer::start().await;
    for store in ["embedded:", &server.url()] {
        let document = larder(&["demo", "--json", "--scene", "behind", "--store", store])
            .ended(0)
            .json();
        nothing_was_lost(&document["scenes"][0]);
    }
    assert_eq!(server.cli(&["DBSIZE"]).trim(), "0");
}

/// The demo's own tables are in a schema of their own, and nothing is left of it.
#[tokio::test]
async fn every_scene_keeps_its_promises_on_postgres_and_leaves_nothing() {
    let server = PgServer::shared().await;
    let url = server.database();
    let name = url.rsplit('/').next().expect("a URL has a path");
    let with_password = url.replace("larder@", "larder:hunter2@");
    let run = larder(&[
        "demo",
        "--json",
        "--lookups",
        "500",
        "--users",
        "200",
        "--db",
        &with_password,
    ])
    .ended(0);
    assert!(!run.out.contains("hunter2") && !run.err.contains("hunter2"), "{run:#?}");
    let document = run.json();
    assert_eq!(document["ok"], true, "{document:#}");
    let scenes = document["scenes"].as_array().expect("scenes are a list");
    let listed = larder(&["demo", "--list", "--json"]).ended(0).json();
    assert_eq!(Some(scenes.len()), listed["scenes"].as_array().map(Vec::len));
    let behind = scenes
        .iter()
        .find(|scene| scene["scene"] == "behind")
        .expect("it is one of them");
    assert_eq!(behind["figures"]["database"], "PostgreSQL");
    nothing_was_lost(behind);
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'larder_demo%'";
    assert_eq!(server.sql(name, schemas), "0");
}

/// A tour that overwrites what a live store holds would be the last one.
#[tokio::test]
async fn a_key_of_somebody_else_is_not_overwritten() {
    let server = RedisServer::start().await;
    server.cli(&["SET", "user:42", "precious"]);
    let url = server.url();
    let run = tokio::task::spawn_blocking(move || larder(&["demo", "--store", &url, "--scene", "plain"])).await;
    run.expect("does not panic").ended(0);
    assert_eq!(server.cli(&["GET", "user:42"]).trim(), "precious");
}

#[test]
fn progress_off_a_terminal_is_lines() {
    let run = larder(&["demo", "--scene", "ttl", "--users", "250", "--batch", "50"]).ended(0);
    let lines: Vec<&str> = run.out.lines().filter(|line| line.starts_with("Progress:")).collect();
    assert_eq!(lines.first(), Some(&"Progress: 20.0% (50/250 records)"));
    assert_eq!(lines.last(), Some(&"Progress: 100.0% (250/250 records)"));
    assert!(
        !run.out.contains('\u{1b}'),
        "no escape sequences off a terminal: {}",
        run.out
    );
}

#[test]
fn the_prompt_says_where_each_answer_came_from() {
    let input = "42\n42\n5000\n5000\nnew 5000\n5000\nhelp\nquit\n7\n";
    let run = larder_fed(&["demo", "--scene", "ttl"], input).ended(0);
    let answers: Vec<&str> = run.out.lines().filter(|line| line.contains("from ")).collect();
    assert!(answers[0].contains("from source"), "{answers:#?}");
    assert!(answers[1].contains("from near"), "{answers:#?}");
    assert!(run.out.contains("added user 5000"), "{}", run.out);
    assert!(!run.out.contains("\"id\":7"), "nothing is read after quit: {}", run.out);
}

#[test]
fn answers_are_in_the_document() {
    let document = larder_fed(&["demo", "--scene", "ttl", "--json"], "42\n42\n99999\n")
        .ended(0)
        .json();
    let answers = document["answers"].as_array().expect("answers are a list");
    assert_eq!(answers[0]["from"], "source");
    assert_eq!(answers[0]["row"]["id"], 42);
    assert_eq!(answers[1]["from"], "near");
    assert_eq!(answers[2]["row"], serde_json::Value::Null);
}

#[test]
fn a_load_delay_is_felt_and_the_tour_still_ends_soon() {
    let document = larder(&["demo", "--json", "--load-delay", "300ms", "--scene", "cold,batch"])
        .ended(0)
        .json();
    let cold = document["scenes"][0]["figures"]["cold_read_p50_us"]
        .as_f64()
        .expect("a figure");
    assert!(cold >= 300_000.0, "{document:#}");
    assert!(
        document["took_ms"].as_f64().is_some_and(|took| took < 20_000.0),
        "{document:#}"
    );
}

#[test]
fn nothing_is_left_in_the_temporary_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = crate::run::command(&["demo", "--scene", "ttl"]);
    command.env("TMPDIR", folder.path()).stdin(std::process::Stdio::null());
    crate::run::finish(&mut command).ended(0);
    assert_eq!(entries(folder.path()), Vec::<String>::new());
}
