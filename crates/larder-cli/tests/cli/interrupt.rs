//! Ctrl-C and SIGTERM end the demo at any moment, and leave nothing behind.

use std::{
    io::Read as _,
    path::Path,
    process::{Child, Stdio},
    time::Duration,
};

use larder_testkit::{PgServer, RedisServer, eventually};

use crate::run::{command, entries, signal};

/// A demo that keeps its private database in `folder`.
fn start(args: &[&str], folder: &Path) -> Child {
    let mut command = command(args);
    command
        .env("TMPDIR", folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().expect("the command starts")
}

/// Waits until the demo has made its folder.
async fn until_started(folder: &Path) {
    eventually(Duration::from_secs(20), async || !entries(folder).is_empty()).await;
}

async fn ends_clean(args: &[&str], with: rustix::process::Signal, code: i32) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = start(args, folder.path());
    until_started(folder.path()).await;
    signal(&child, with);
    let status = child.wait().expect("the command ends");
    assert_eq!(status.code(), Some(code));
    assert_eq!(entries(folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn ctrl_c_while_the_database_is_filled() {
    ends_clean(&["demo", "--users", "10000000"], rustix::process::Signal::INT, 130).await;
}

#[tokio::test]
async fn ctrl_c_in_the_middle_of_a_load() {
    ends_clean(
        &["demo", "--load-delay", "60s", "--users", "10"],
        rustix::process::Signal::INT,
        130,
    )
    .await;
}

#[tokio::test]
async fn sigterm_ends_it_as_clean() {
    ends_clean(
        &["demo", "--load-delay", "60s", "--users", "10"],
        rustix::process::Signal::TERM,
        143,
    )
    .await;
}

#[tokio::test]
async fn ctrl_c_removes_the_schema_that_the_demo_made() {
    let server = PgServer::shared().await;
    let url = server.database();
    let name = url.rsplit('/').next().expect("a URL has a path");
    let folder = tempfile::tempdir().expect("a folder");
    let schemas = || {
        server.sql(
            name,
            "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'larder_demo%'",
        )
    };
    let mut child = start(
        &["demo", "--load-delay", "60s", "--users", "10", "--db", &url],
        folder.path(),
    );
    eventually(Duration::from_secs(60), async || schemas() == "1").await;
    signal(&child, rustix::process::Signal::INT);
    assert_eq!(child.wait().expect("the command ends").code(), Some(130));
    assert_eq!(schemas(), "0");
}

/// The caches of a run leave marks of their partitions in the store, which no TTL removes.
async fn removes_its_keys(args: &[&str]) {
    let server = RedisServer::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let keys = || server.cli(&["DBSIZE"]).trim().to_owned();
    let url = server.url();
    let mut child = start(&[args, &["--store", &url]].concat(), folder.path());
    eventually(Duration::from_secs(20), async || keys() != "0").await;
    signal(&child, rustix::process::Signal::INT);
    assert_eq!(child.wait().expect("the command ends").code(), Some(130));
    assert_eq!(keys(), "0");
}

/// A server that stands still cannot be cleaned, and whoever pressed Ctrl-C would not know.
async fn tells_of_its_keys(args: &[&str], prefix: &str) {
    let server = RedisServer::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let url = server.url();
    let mut child = command(&[args, &["--store", &url]].concat())
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    eventually(Duration::from_secs(20), async || server.cli(&["DBSIZE"]).trim() != "0").await;
    server.pause();
    signal(&child, rustix::process::Signal::TERM);
    let mut said = String::new();
    let mut stderr = child.stderr.take().expect("stderr is piped");
    stderr.read_to_string(&mut said).expect("text");
    assert_eq!(child.wait().expect("the command ends").code(), Some(143), "{said}");
    server.resume();
    let left = server.cli(&["KEYS", "*"]);
    let names = said
        .lines()
        .find_map(|line| line.split_once("begin with "))
        .expect(&said)
        .1;
    assert!(names.starts_with(prefix) && said.contains(&url), "{said}");
    assert!(
        left.lines().count() > 0 && left.lines().all(|key| key.starts_with(names)),
        "{left}\n{said}"
    );
}

#[tokio::test]
async fn a_demo_tells_of_keys_that_it_cannot_remove() {
    tells_of_its_keys(&["demo", "--lookups", "10000000", "--scene", "warm"], "demo-").await;
}

#[tokio::test]
async fn a_bench_tells_of_keys_that_it_cannot_remove() {
    tells_of_its_keys(&["bench", "store", "--rounds", "1000"], "bench-").await;
}

#[tokio::test]
async fn a_verify_tells_of_keys_that_it_cannot_remove() {
    tells_of_its_keys(&["verify", "--ops", "100000000"], "verify-").await;
}

#[tokio::test]
async fn ctrl_c_removes_what_the_demo_put_on_a_server() {
    removes_its_keys(&["demo", "--lookups", "10000000", "--scene", "warm"]).await;
}

#[tokio::test]
async fn ctrl_c_removes_what_a_bench_put_on_a_server() {
    removes_its_keys(&["bench", "store", "--rounds", "1000"]).await;
    removes_its_keys(&["bench", "stampede", "--load-ms", "2000"]).await;
}

#[tokio::test]
async fn a_server_that_dies_ends_the_demo_with_a_failure() {
    let server = RedisServer::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let url = server.url();
    let args = ["demo", "--store", &url, "--lookups", "10000000", "--scene", "warm"];
    let mut child = start(&args, folder.path());
    eventually(Duration::from_secs(20), async || server.cli(&["DBSIZE"]).trim() != "0").await;
    drop(server);
    assert_eq!(child.wait().expect("the command ends").code(), Some(1));
}
