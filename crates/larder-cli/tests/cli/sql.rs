//! `larder sql prepare` says what it would do, does it, and does it once.

use larder_sql::PoolConfig;
use larder_testkit::PgServer;
use sqlx::AssertSqlSafe;

use crate::run::{Run, larder};

const TABLE: &str = "CREATE TABLE \"odd users\" (id INTEGER PRIMARY KEY, name TEXT)";

fn prepare(db: &str, more: &[&str]) -> Run {
    let args = ["sql", "prepare", "--db", db, "--table", "odd users"];
    larder(&[&args, more].concat())
}

/// What holds on every database; `count` counts what a query finds there.
fn is_prepared_once(db: &str, count: &dyn Fn(&str) -> i64) {
    let versions = "SELECT count(l_epoch + l_seq) FROM \"odd users\"";
    let printed = prepare(db, &["--print", "--namespace", "user"]).ended(0);
    for part in ["l_epoch", "larder_applied", "larder_epochs", "'user'", ";\n"] {
        assert!(printed.out.contains(part), "{part}: {}", printed.out);
    }
    assert_eq!(
        count("SELECT count(*) FROM \"odd users\""),
        1,
        "--print changed nothing"
    );
    // A table has one owner for good, and this one nobody could be.
    prepare(db, &["--namespace", "User"])
        .ended(1)
        .says(&["no cache has the namespace \"User\""]);
    let document = prepare(db, &["--json", "--namespace", "user", "--trigger"])
        .ended(0)
        .json();
    assert_eq!(document["applied"], true, "{document:#}");
    assert_eq!(count(versions), 1);
    prepare(db, &["--namespace", "user"]).ended(0).says(&[]);
    prepare(db, &[]).ended(0);
    prepare(db, &["--namespace", "other"])
        .ended(1)
        .says(&["\"user\"", "\"other\"", "hint:"]);
    prepare(db, &["--namespace", "user", "--side-table"])
        .ended(1)
        .says(&["keeps its versions in columns"]);
    prepare(db, &["--side-table", "--trigger"]).ended(2);
    larder(&["sql", "prepare", "--db", db, "--table", "x; DROP TABLE \"odd users\""])
        .ended(1)
        .says(&["no table", "never runs as SQL", "odd users"]);
    assert_eq!(count(versions), 1);
}

/// A table of Larder's own, that `larder sql WHAT` adds to a database which has none yet.
fn has_a_table(db: &str, what: &str, table: &str, count: &dyn Fn(&str) -> i64) {
    let add = |more: &[&str]| larder(&[&["sql", what, "--db", db], more].concat());
    let printed = add(&["--print"]).ended(0);
    assert!(
        printed.out.contains(&format!("CREATE TABLE IF NOT EXISTS \"{table}\"")),
        "{}",
        printed.out
    );
    add(&[]).ended(0);
    let document = add(&["--json"]).ended(0).json();
    assert_eq!(document["table"], table, "{document:#}");
    assert_eq!(count(&format!("SELECT count(*) FROM {table}")), 0);
    add(&["--table", "t"]).ended(2);
}

#[test]
fn a_table_of_sqlite_is_prepared_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shop.db");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let pool = runtime
        .block_on(PoolConfig::path(&path).create().open_sqlite())
        .expect("creates");
    let run = |sql: &str| {
        runtime
            .block_on(sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&pool))
            .expect("runs")
    };
    run(TABLE);
    run("INSERT INTO \"odd users\" VALUES (1, 'Ada')");
    let count = |sql: &str| {
        let count = sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&pool);
        runtime.block_on(count).expect("counts")
    };
    is_prepared_once(path.to_str().expect("UTF-8"), &count);
    has_a_table(path.to_str().expect("UTF-8"), "outbox", "larder_outbox", &count);
    has_a_table(path.to_str().expect("UTF-8"), "fences", "larder_fences", &count);
}

#[test]
fn a_table_of_postgres_is_prepared_once() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(PgServer::shared());
    let url = server.database();
    let name = url.rsplit('/').next().expect("a URL has a path");
    server.sql(name, TABLE);
    server.sql(name, "INSERT INTO \"odd users\" VALUES (1, 'Ada')");
    let count = |sql: &str| server.sql(name, sql).parse().expect("a number");
    is_prepared_once(&url.replace("larder@", "larder:hunter2@"), &count);
    has_a_table(&url, "outbox", "larder_outbox", &count);
    has_a_table(&url, "fences", "larder_fences", &count);
    let wrong = prepare(
        &url.replace("larder@", "larder:hunter2@").replace("/test", "/nowhere"),
        &[],
    )
    .ended(1);
    assert!(
        !wrong.err.contains("hunter2") && wrong.err.contains("PostgreSQL"),
        "{}",
        wrong.err
    );
}
