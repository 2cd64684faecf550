//! Any table can be read by its key, whatever it and its columns are called, and no name or key runs as SQL.

use std::collections::HashMap;

use larder_base::CacheKey;
use larder_sql::{PoolConfig, SqlError, SqlTable};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::{
    databases::for_each_database,
    statements::{count, listen},
};

pub(crate) type Row = Map<String, Value>;

pub(crate) async fn one<K: CacheKey, V: DeserializeOwned>(table: &SqlTable, key: K) -> Option<V> {
    let mut rows = table.rows(&[key]).await.expect("loads");
    assert!(rows.len() <= 1);
    rows.pop().map(|(_, row)| row)
}

pub(crate) async fn failure<K: CacheKey>(table: &SqlTable, key: K) -> SqlError {
    table.rows::<K, Value>(&[key]).await.expect_err("must fail")
}

#[tokio::test]
async fn the_primary_key_is_found_by_itself() {
    for_each_database(async |db| {
        db.run(
            "CREATE TABLE users (name TEXT, id INTEGER PRIMARY KEY, score REAL);
             INSERT INTO users VALUES ('Ada', 42, 1.5)",
        )
        .await;
        let users = SqlTable::new(db.pool, "users");
        assert_eq!(
            one(&users, 42_u64).await,
            Some(json!({"name": "Ada", "id": 42, "score": 1.5}))
        );
        assert_eq!(one::<_, Value>(&users, 43_u64).await, None);
        assert_eq!(one::<_, Value>(&users, u64::MAX).await, None);
        assert_eq!(one::<_, Value>(&users, i64::MIN).await, None);
    })
    .await;
}

#[tokio::test]
async fn odd_names_text_keys_and_nulls_are_read_as_they_are() {
    for_each_database(async |db| {
        db.run(
            r#"CREATE TABLE "order" ("größe; drop" TEXT, "the ""key""" TEXT PRIMARY KEY, "select" TEXT);
               INSERT INTO "order" VALUES ('x', 'a''b; --', NULL)"#,
        )
        .await;
        let orders = SqlTable::new(db.pool, "order");
        let expected = json!({"größe; drop": "x", "the \"key\"": "a'b; --", "select": null});
        assert_eq!(one(&orders, "a'b; --".to_owned()).await, Some(expected));
    })
    .await;
}

#[tokio::test]
async fn names_that_do_not_exist_are_errors_that_list_what_does() {
    for_each_database(async |db| {
        db.run("CREATE TABLE x (id INTEGER PRIMARY KEY); CREATE TABLE y (id INTEGER PRIMARY KEY)")
            .await;
        let table = failure(&SqlTable::new(db.pool.clone(), "x; drop table x"), 1_u64)
            .await
            .to_string();
        assert!(
            table.contains(r#"no table "x; drop table x""#) && table.contains(r#"it has "x", "y""#),
            "{table}"
        );
        assert!(table.contains("never runs as SQL"), "{table}");
        let column = failure(&SqlTable::new(db.pool.clone(), "x").key("id\" OR 1=1 --"), 1_u64)
            .await
            .to_string();
        assert!(
            column.contains("has no column") && column.contains(r#"it has "id""#),
            "{column}"
        );
        assert_eq!(db.number("SELECT count(*) FROM x").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_table_without_primary_key_needs_a_named_one() {
    for_each_database(async |db| {
        db.run("CREATE TABLE log (at INTEGER, what TEXT); INSERT INTO log VALUES (1, 'a'), (2, 'b'), (2, 'c')")
            .await;
        let unnamed = failure(&SqlTable::new(db.pool.clone(), "log"), 1_u64).await;
        assert!(matches!(unnamed, SqlError::NoKey { .. }), "{unnamed}");
        let log = SqlTable::new(db.pool, "log").key("at");
        assert_eq!(one(&log, 1_u64).await, Some(json!({"at": 1, "what": "a"})));
        let twice = failure(&log, 2_u64).await;
        assert!(matches!(twice, SqlError::NotUnique { .. }), "{twice}");
    })
    .await;
}

#[tokio::test]
async fn composite_keys_are_tuples() {
    for_each_database(async |db| {
        db.run(
            "CREATE TABLE seat (place INTEGER, hall TEXT, free INTEGER, PRIMARY KEY (hall, place));
             INSERT INTO seat VALUES (1, 'A', 0), (2, 'A', 1), (1, 'B', 1)",
        )
        .await;
        let seats = SqlTable::new(db.pool, "seat").columns(["free"]);
        let key = |hall: &str, place: u32| (hall.to_owned(), place);
        let wanted = [key("A", 2), key("B", 1), key("B", 2)];
        let found: Vec<((String, u32), Row)> = seats.rows(&wanted).await.expect("loads");
        let keys: Vec<_> = found.iter().map(|(key, _)| key.clone()).collect();
        assert_eq!(keys, [key("A", 2), key("B", 1)]);
        assert_eq!(found[0].1.get("free"), Some(&json!(1)));
        let single = failure(&seats, 1_u64).await.to_string();
        assert!(
            single.contains(r#""hall", "place""#) && single.contains("tuple"),
            "{single}"
        );
    })
    .await;
}

/// An entry under another spelling would outlive the invalidation of the true key.
#[tokio::test]
async fn a_number_in_another_spelling_finds_nothing() {
    for_each_database(async |db| {
        db.run("CREATE TABLE numbers (n INTEGER PRIMARY KEY); INSERT INTO numbers VALUES (7), (-1)")
            .await;
        let numbers = SqlTable::new(db.pool, "numbers");
        for found in ["7", "-1"] {
            assert!(one::<_, Row>(&numbers, found.to_owned()).await.is_some(), "{found:?}");
        }
        let others = [
            "07",
            "+7",
            " 7",
            "7 ",
            "7.0",
            "-01",
            "seven",
            "",
            "7\0",
            "9223372036854775808",
        ];
        let found: Vec<(String, Row)> = numbers.rows(&others.map(str::to_owned)).await.expect("loads");
        assert!(found.is_empty(), "{found:?}");
    })
    .await;
}

/// Text that a collation calls equal is another key.
#[tokio::test]
async fn text_in_another_case_finds_nothing() {
    for_each_database(async |db| {
        if db.is_postgres() {
            // As citext does; a nondeterministic collation needs no extension.
            db.run(
                "CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
                 CREATE TABLE users (name TEXT COLLATE nocase PRIMARY KEY)",
            )
            .await;
        } else {
            db.run("CREATE TABLE users (name TEXT PRIMARY KEY COLLATE NOCASE)")
                .await;
        }
        db.run("INSERT INTO users VALUES ('Ada')").await;
        assert_eq!(db.number("SELECT count(*) FROM users WHERE name = 'ADA'").await, 1);
        let users = SqlTable::new(db.pool, "users");
        assert!(one::<_, Row>(&users, "Ada".to_owned()).await.is_some());
        assert!(one::<_, Row>(&users, "ADA".to_owned()).await.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_batch_of_a_thousand_keys_is_one_statement() {
    listen();
    for_each_database(async |db| {
        db.run("CREATE TABLE thousand (id INTEGER PRIMARY KEY, twice INTEGER)")
            .await;
        db.run(
            "INSERT INTO thousand WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 9000)
             SELECT i, i * 2 FROM c",
        )
        .await;
        let table = SqlTable::new(db.pool, "thousand");
        table.schema().await.expect("exists");
        let loads = || count("\"thousand\" AS t WHERE");
        let before = loads();
        let keys: Vec<u32> = (0..1_000).rev().collect();
        let found: HashMap<u32, (u32, u32)> = table.rows(&keys).await.expect("loads").into_iter().collect();
        assert_eq!(loads() - before, 1);
        assert_eq!(found.len(), 999);
        assert!(found.iter().all(|(key, row)| *row == (*key, key * 2)));
        // Larger ones come back whole as well.
        let keys: Vec<u32> = (0..10_000).rev().collect();
        assert_eq!(table.rows::<u32, (u32, u32)>(&keys).await.expect("loads").len(), 9_000);
    })
    .await;
}

#[tokio::test]
async fn a_changed_table_is_looked_at_again() {
    for_each_database(async |db| {
        db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, old TEXT); INSERT INTO t VALUES (1, 'x')")
            .await;
        let table = SqlTable::new(db.pool.clone(), "t");
        assert_eq!(one(&table, 1_u64).await, Some(json!({"id": 1, "old": "x"})));
        db.run("ALTER TABLE t RENAME COLUMN old TO new").await;
        assert_eq!(one(&table, 1_u64).await, Some(json!({"id": 1, "new": "x"})));
        db.run("DROP TABLE t; CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER); INSERT INTO t VALUES ('1', 2)")
            .await;
        assert_eq!(one(&table, 1_u64).await, Some(json!({"id": "1", "n": 2})));
    })
    .await;
}

#[tokio::test]
async fn a_misfit_names_the_column_but_not_the_value() {
    for_each_database(async |db| {
        db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT); INSERT INTO t VALUES (1, 'secret')")
            .await;
        let failed = SqlTable::new(db.pool, "t").rows::<u64, (u64, u64)>(&[1]).await;
        let failed = failed.expect_err("text is no number");
        let shown = failed.to_string();
        assert!(shown.contains(r#"column "n""#) && !shown.contains("secret"), "{shown}");
        assert!(!failed.is_retryable());
    })
    .await;
}

#[tokio::test]
async fn the_first_keys_find_their_rows_again() {
    for_each_database(async |db| {
        db.run("CREATE TABLE t (k TEXT UNIQUE); INSERT INTO t VALUES ('b'), (NULL), ('a'), ('')")
            .await;
        let table = SqlTable::new(db.pool, "t").key("k");
        let keys = table.first_keys(10).await.expect("lists");
        assert_eq!(keys, ["", "a", "b"]);
        assert_eq!(table.rows::<String, Row>(&keys).await.expect("loads").len(), 3);
        assert_eq!(table.first_keys(2).await.expect("lists").len(), 2);
    })
    .await;
}

/// Documents are nested values, wherever a database keeps them.
#[tokio::test]
async fn json_is_read_as_what_it_holds() {
    for_each_database(async |db| {
        db.run(
            r#"CREATE TABLE t (id INTEGER PRIMARY KEY, doc JSON);
               INSERT INTO t VALUES (1, '{"a": [1, {"b": null}]}'), (2, NULL), (3, '"text"'), (4, 'null')"#,
        )
        .await;
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Doc {
            a: Value,
        }
        let table = SqlTable::new(db.pool, "t").columns(["doc"]);
        let whole: Option<Row> = one(&table, 1).await;
        assert_eq!(whole.expect("exists")["doc"], json!({"a": [1, {"b": null}]}));
        let typed: Option<(Option<Doc>,)> = one(&table, 1).await;
        assert_eq!(
            typed.expect("exists").0,
            Some(Doc {
                a: json!([1, {"b": null}])
            })
        );
        for nothing in [2, 4] {
            assert_eq!(one::<_, (Option<Doc>,)>(&table, nothing).await.expect("exists").0, None);
        }
        assert_eq!(one::<_, (String,)>(&table, 3).await.expect("exists").0, "text");
        let misfit = table
            .rows::<i32, (Doc,)>(&[3])
            .await
            .expect_err("no document")
            .to_string();
        assert!(
            misfit.contains(r#"column "doc""#) && !misfit.contains("text\""),
            "{misfit}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_read_only_pool_cannot_write() {
    for_each_database(async |db| {
        db.run("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)")
            .await;
        let reader = PoolConfig::new(&db.url).read_only().open().await.expect("opens");
        assert!(one::<_, Row>(&SqlTable::new(reader.clone(), "t"), 1).await.is_some());
        let refused = match (reader.sqlite(), reader.postgres()) {
            (Some(pool), _) => sqlx::query("INSERT INTO t VALUES (2)").execute(pool).await.map(drop),
            (_, Some(pool)) => sqlx::query("INSERT INTO t VALUES (2)").execute(pool).await.map(drop),
            _ => unreachable!("there are two"),
        };
        refused.expect_err("read-only");
    })
    .await;
}
