//! What is PostgreSQL's own: its types, schemas, and a server that can be away.

use std::time::Duration;

use larder_sql::{ErrorKind, PoolConfig, SqlError, SqlTable};
use larder_testkit::PgServer;
use serde_json::{Value, json};

use crate::{
    databases::Db,
    reads::{Row, failure, one},
};

const TYPES: &str = r#"
CREATE TYPE mood AS ENUM ('sad', 'it''s ok');
CREATE DOMAIN small AS int2 CHECK (VALUE < 100);
CREATE DOMAIN smaller AS small;
CREATE TABLE t (
    id bigint PRIMARY KEY, i2 int2, i4 int4, f4 float4, f8 float8, d smaller, n numeric(30, 10), b bool, v varchar(5), c char(5),
    u uuid, j jsonb, day date, at timestamptz, local timestamp, clock time, e mood, bytes bytea, addr inet,
    ints int4[], texts text[], moods mood[], nested int8[][], numbers numeric[], days date[]
);
INSERT INTO t VALUES (
    1, -32768, 2147483647, 1.5, 'NaN', 7, 12345678901234567890.0000000001, true, 'abc', 'ab',
    '01234567-89ab-cdef-0123-456789abcdef', '{"k": [1, null]}', '2024-02-29', '2024-02-29 23:59:59.123456+02',
    '2024-02-29 12:00:00', '12:30:00', 'it''s ok', '\x0102ff', '10.0.0.1/8',
    '{1,null,3}', '{a,"b,c"}', '{sad}', '{{1,2},{3,4}}', '{1.10}', '{2024-01-01}'
)"#;

#[tokio::test]
async fn every_type_has_its_form() {
    let db = Db::postgres().await;
    db.run(TYPES).await;
    let mut found: Row = one(&SqlTable::new(db.pool.clone(), "t"), 1).await.expect("exists");
    // No JSON has a form for it.
    assert_eq!(found.remove("f8"), Some(Value::Null));
    let expected = json!({
        "id": 1, "i2": -32768, "i4": 2_147_483_647, "f4": 1.5, "d": 7, "n": "12345678901234567890.0000000001", "b": true,
        "v": "abc", "c": "ab", "u": "01234567-89ab-cdef-0123-456789abcdef", "j": {"k": [1, null]}, "day": "2024-02-29",
        "at": "2024-02-29T21:59:59.123456+00:00", "local": "2024-02-29T12:00:00", "clock": "12:30:00", "e": "it's ok",
        "bytes": "AQL/", "addr": "10.0.0.1/8", "ints": [1, null, 3], "texts": ["a", "b,c"], "moods": ["sad"],
        "nested": [[1, 2], [3, 4]], "numbers": ["1.10"], "days": ["2024-01-01"],
    });
    assert_eq!(Value::Object(found), expected);

    #[derive(Debug, serde::Deserialize, PartialEq)]
    enum Mood {
        #[serde(rename = "sad")]
        Sad,
        #[serde(rename = "it's ok")]
        Ok,
    }
    #[derive(Debug, serde::Deserialize)]
    struct Typed {
        u: String,
        e: Mood,
        ints: Vec<Option<i32>>,
        bytes: Vec<u8>,
        moods: Vec<Mood>,
        f8: f64,
    }
    let typed: Typed = one(&SqlTable::new(db.pool, "t"), 1).await.expect("exists");
    assert_eq!(typed.u, "01234567-89ab-cdef-0123-456789abcdef");
    assert_eq!((typed.e, typed.moods), (Mood::Ok, vec![Mood::Sad]));
    assert_eq!(
        (typed.ints, typed.bytes),
        (vec![Some(1), None, Some(3)], vec![1, 2, 255])
    );
    assert!(typed.f8.is_nan());
}

#[tokio::test]
async fn a_type_that_is_not_read_is_named_with_its_column() {
    let db = Db::postgres().await;
    db.run("CREATE TABLE t (id bigint PRIMARY KEY, span interval, spot point, at timestamptz UNIQUE, s tsvector[])")
        .await;
    let refused = failure(&SqlTable::new(db.pool.clone(), "t"), 1).await.to_string();
    assert!(
        refused.contains(r#"column "span""#) && refused.contains("interval"),
        "{refused}"
    );
    assert!(refused.contains("`columns`"), "{refused}");
    let spot = failure(&SqlTable::new(db.pool.clone(), "t").columns(["spot"]), 1)
        .await
        .to_string();
    assert!(spot.contains("point"), "{spot}");
    let list = failure(&SqlTable::new(db.pool.clone(), "t").columns(["s"]), 1)
        .await
        .to_string();
    assert!(list.contains("tsvector[]"), "{list}");
    let key = failure(&SqlTable::new(db.pool.clone(), "t").columns(["id"]).key("at"), 1)
        .await
        .to_string();
    assert!(key.contains("be found by") && key.contains("timestamp"), "{key}");
    let rest = SqlTable::new(db.pool, "t").columns(["id", "at"]);
    assert_eq!(one::<_, Row>(&rest, 1).await, None);
}

/// A key of every type finds its row, and one that the server could not convert finds none: it must not fail the
/// statement for the keys beside it.
#[tokio::test]
async fn keys_of_every_type_are_found_and_others_are_not_asked_for() {
    let db = Db::postgres().await;
    db.run(
        "CREATE TYPE mood AS ENUM ('sad', 'ok');
         CREATE TABLE k (u uuid, e mood, n numeric, d date, b bytea, i int2, v varchar(3), t text, f bool);
         INSERT INTO k VALUES ('01234567-89ab-cdef-0123-456789abcdef', 'ok', 1.50, '2024-02-29', '\\x00ff', 7, 'abc', 'x', true)",
    )
    .await;
    let wrong = [
        "no",
        "1.5",
        "2024-02-30",
        "00FF",
        "70000",
        "abcd",
        "nul\0",
        "TRUE",
        "",
        "01234567-89AB-cdef-0123-456789abcdef",
    ];
    let right = [
        ("u", "01234567-89ab-cdef-0123-456789abcdef"),
        ("e", "ok"),
        ("n", "1.50"),
        ("d", "2024-02-29"),
        ("b", "00ff"),
        ("i", "7"),
        ("v", "abc"),
        ("t", "x"),
        ("f", "true"),
    ];
    for (column, key) in right {
        let table = SqlTable::new(db.pool.clone(), "k").key(column).columns(["i"]);
        let mut keys: Vec<String> = wrong.iter().map(|&wrong| wrong.to_owned()).collect();
        keys.push(key.to_owned());
        let found: Vec<(String, Row)> = table.rows(&keys).await.expect(column);
        let found: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(found, [key], "{column}");
    }
    let uuid = uuid::Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
    let by_uuid = SqlTable::new(db.pool.clone(), "k").key("u").columns(["i"]);
    assert_eq!(one(&by_uuid, uuid).await, Some(json!({"i": 7})));
    let narrow = SqlTable::new(db.pool, "k").key("i").columns(["i"]);
    assert_eq!(
        narrow
            .rows::<i64, Row>(&[7, i64::MAX, 40_000])
            .await
            .expect("loads")
            .len(),
        1
    );
}

#[tokio::test]
async fn a_table_of_another_schema_is_named_with_it() {
    let db = Db::postgres().await;
    db.run(
        r#"CREATE SCHEMA "odd Schema"; CREATE TABLE "odd Schema"."T" (id bigint PRIMARY KEY); INSERT INTO "odd Schema"."T" VALUES (1);
           CREATE TABLE "a.b" (id bigint PRIMARY KEY)"#,
    )
    .await;
    assert!(
        one::<_, Row>(&SqlTable::new(db.pool.clone(), "odd Schema.T"), 1)
            .await
            .is_some()
    );
    assert!(one::<_, Row>(&SqlTable::new(db.pool.clone(), "a.b"), 1).await.is_none());
    let hidden = failure(&SqlTable::new(db.pool.clone(), "T"), 1).await.to_string();
    assert!(hidden.contains("odd Schema.T"), "{hidden}");
}

/// The pool notices at its next use that the server was started anew; a reader does not.
#[tokio::test]
async fn a_read_survives_a_server_that_was_started_anew() {
    let mut server = PgServer::start().await;
    let url = server.database();
    let pool = PoolConfig::new(&url).connections(2).open().await.expect("opens");
    let run = async |sql: &'static str| {
        sqlx::query(sql)
            .execute(pool.postgres().expect("it is"))
            .await
            .expect(sql);
    };
    run("CREATE TABLE t (id bigint PRIMARY KEY)").await;
    run("INSERT INTO t VALUES (1)").await;
    let table = SqlTable::new(pool.clone(), "t").deadline(Duration::from_secs(60));
    assert!(one::<_, Row>(&table, 1).await.is_some());
    server.kill_clients();
    assert!(one::<_, Row>(&table, 1).await.is_some());
    server.restart().await;
    assert!(one::<_, Row>(&table, 1).await.is_some());
    server.kill();
    let down = failure(&table.clone().deadline(Duration::from_millis(200)), 1).await;
    assert_eq!(down.kind(), ErrorKind::Retryable, "{down:?}");
    let refused = PoolConfig::new(&url.replace("larder@", "larder:hunter2@"))
        .open()
        .await
        .expect_err("it is down");
    let shown = format!("{refused} {refused:?}");
    assert!(
        refused.is_retryable() && shown.contains("127.0.0.1") && !shown.contains("hunter2"),
        "{shown}"
    );
}

/// The server itself ends what takes too long, so that work which nobody waits for any more does not go on.
#[tokio::test]
async fn the_server_keeps_the_limits_of_the_session() {
    let url = PgServer::shared().await.database();
    let pool = PoolConfig::new(&url)
        .statement_timeout(Duration::from_millis(50))
        .application_name("shop")
        .open_postgres()
        .await
        .expect("opens");
    let shown = async |name: &str| -> String {
        let sql = sqlx::AssertSqlSafe(format!("SHOW {name}"));
        sqlx::query_scalar(sql).fetch_one(&pool).await.expect("has it")
    };
    assert_eq!(shown("statement_timeout").await, "50ms");
    assert_eq!(shown("idle_in_transaction_session_timeout").await, "10s");
    assert_eq!(shown("application_name").await, "shop");
    sqlx::raw_sql(
        "CREATE TABLE t (id bigint PRIMARY KEY); CREATE VIEW slow AS SELECT id, pg_sleep(10)::text AS nap FROM t;
         INSERT INTO t VALUES (1)",
    )
    .execute(&pool)
    .await
    .expect("creates");
    let slow = failure(&SqlTable::new(pool, "slow").key("id"), 1).await;
    assert!(
        slow.is_retryable() && matches!(slow, SqlError::Query { .. }),
        "{slow:?}"
    );
}
