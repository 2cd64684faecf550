//! `--db` reads tables it has never seen, and writes to none.

use std::path::PathBuf;

use larder_sql::PoolConfig;
use larder_testkit::PgServer;
use tempfile::TempDir;

use crate::run::{larder, larder_fed};

/// A database file with one odd table of every kind.
fn database() -> (TempDir, PathBuf) {
    const STATEMENTS: [&str; 9] = [
        r#"CREATE TABLE "order" ("the key" TEXT PRIMARY KEY, "größe" REAL, picture BLOB, "select" TEXT)"#,
        r#"INSERT INTO "order" VALUES ('é', 1.5, x'0102ff', NULL), ('a''b', NULL, NULL, 'x'), ('', 0, x'', '')"#,
        r#"CREATE TABLE "x; drop" (id INTEGER PRIMARY KEY, v TEXT)"#,
        r#"INSERT INTO "x; drop" VALUES (1, 'still here')"#,
        "CREATE TABLE pair (a INTEGER, b INTEGER, v TEXT, PRIMARY KEY (a, b))",
        "INSERT INTO pair VALUES (1, 1, 'p'), (1, 2, 'q')",
        "CREATE TABLE nokey (a TEXT, b INTEGER)",
        "INSERT INTO nokey VALUES ('one', 1), ('two', 2)",
        "CREATE TABLE empty (id INTEGER PRIMARY KEY)",
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("odd name.db");
    let fill = async {
        let pool = PoolConfig::path(&path).create().open_sqlite().await.expect("creates");
        for statement in STATEMENTS {
            sqlx::query(statement).execute(&pool).await.expect(statement);
        }
        pool.close().await;
    };
    tokio::runtime::Runtime::new().expect("a runtime").block_on(fill);
    (folder, path)
}

fn demo<'a>(db: &'a str, table: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["demo", "--lookups", "100", "--db", db, "--table", table];
    args.extend(more);
    args
}

#[test]
fn odd_names_text_keys_nulls_and_blobs_run_every_scene() {
    let (_folder, path) = database();
    let path = path.to_str().expect("UTF-8");
    let before = std::fs::read(path).expect("readable");
    let run = larder_fed(&demo(path, "order", &["--json"]), "é\nnone\n").ended(0);
    let document = run.json();
    assert_eq!(document["ok"], true, "{document:#}");
    assert_eq!(document["answers"][0]["row"]["picture"], "AQL/");
    assert_eq!(document["answers"][0]["row"]["select"], serde_json::Value::Null);
    assert_eq!(document["answers"][1]["row"], serde_json::Value::Null);
    assert!(
        before == std::fs::read(path).expect("readable"),
        "the user's database is as it was"
    );
}

#[test]
fn a_name_with_sql_in_it_is_a_name() {
    let (_folder, path) = database();
    let path = path.to_str().expect("UTF-8");
    let url = format!("sqlite:{}", path.replace(' ', "%20"));
    larder(&demo(&url, "x; drop", &["--scene", "cold"])).ended(0);
    let hostile = larder(&demo(path, "order; drop table pair", &[])).ended(1);
    hostile.says(&[
        "no table \"order; drop table pair\"",
        "never runs as SQL",
        "\"order\"",
        "\"pair\"",
    ]);
}

#[test]
fn a_key_that_is_missing_or_composite_must_be_named() {
    let (_folder, path) = database();
    let path = path.to_str().expect("UTF-8");
    larder(&demo(path, "nokey", &[]))
        .ended(1)
        .says(&["no primary key", "hint:", "--key"]);
    larder(&demo(path, "pair", &[]))
        .ended(1)
        .says(&["several columns: a, b", "hint:", "--key"]);
    larder(&demo(path, "nokey", &["--key", "a", "--scene", "cold,warm"])).ended(0);
    larder(&demo(path, "nokey", &["--key", "c"]))
        .ended(1)
        .says(&["no column \"c\"", "\"a\", \"b\""]);
    larder(&demo(path, "pair", &["--key", "a", "--scene", "cold"]))
        .ended(1)
        .says(&["more than one row"]);
}

#[test]
fn an_empty_table_and_a_missing_file_are_named() {
    let (_folder, path) = database();
    let path = path.to_str().expect("UTF-8");
    larder(&demo(path, "empty", &[])).ended(1).says(&["has no rows"]);
    larder(&demo("/nowhere/at all.db", "t", &[]))
        .ended(1)
        .says(&["/nowhere/at all.db", "hint:", "--db"]);
}

/// The same tour on a server, whose password is shown nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_postgres_runs_every_scene() {
    let server = PgServer::shared().await;
    let url = server.database().replace("larder@", "larder:hunter2@");
    let name = url.rsplit('/').next().expect("a URL has a path");
    server.sql(
        name,
        r#"CREATE TABLE "order" ("the key" text PRIMARY KEY, price numeric, picture bytea, "select" text, at timestamptz);
           INSERT INTO "order" VALUES ('é', 1.50, '\x0102ff', NULL, '2024-02-29 12:00Z'), ('a''b', NULL, NULL, 'x', NULL)"#,
    );
    let run = larder_fed(&demo(&url, "order", &["--json"]), "é\nnone\n").ended(0);
    assert!(!run.out.contains("hunter2"), "{}", run.out);
    let document = run.json();
    assert_eq!(document["ok"], true, "{document:#}");
    let row = &document["answers"][0]["row"];
    assert_eq!(
        (&row["picture"], &row["price"]),
        (&"AQL/".into(), &"1.50".into()),
        "{row}"
    );
    assert_eq!(document["answers"][1]["row"], serde_json::Value::Null);
    let text = larder(&demo(&url, "order", &["--scene", "cold"])).ended(0);
    assert!(
        text.out.contains("larder@127.0.0.1") && !text.out.contains("hunter2"),
        "{}",
        text.out
    );
    let wrong = url.replace("/test", "/nowhere");
    larder(&demo(&wrong, "order", &[]))
        .ended(1)
        .says(&["PostgreSQL", "127.0.0.1", "nowhere"]);
}

/// A table of somebody else is read only, whatever its name.
#[test]
fn nothing_is_added_to_a_foreign_table() {
    let (_folder, path) = database();
    let path = path.to_str().expect("UTF-8");
    let run = larder_fed(&demo(path, "order", &["--scene", "cold"]), "help\nnew 5000\n").ended(0);
    assert!(run.out.contains("get ID") && !run.out.contains("new ID"), "{}", run.out);
    assert!(run.out.contains("has the key `new 5000`"), "{}", run.out);
}
