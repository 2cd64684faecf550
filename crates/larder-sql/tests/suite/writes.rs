//! What a cache writes arrives as it was, in every database, and nothing else is touched.

use larder_base::CacheKey;
use larder_cache::{Patch, Sink, SinkError, SinkErrorKind};
use larder_sql::SqlTable;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    databases::for_each_database,
    hostile::HOSTILE,
    reads::{Row, one},
    statements::{count, listen},
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
    nick: Option<String>,
    score: f64,
    admin: bool,
    photo: Vec<u8>,
    tags: Vec<String>,
}

fn ada() -> User {
    User {
        name: "Ada".into(),
        nick: None,
        score: 1.5,
        admin: true,
        photo: vec![0, 1, 255],
        tags: vec!["a".into(), "b\"c".into()],
    }
}

const USERS: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL, nick TEXT, score REAL, \
                     admin BOOLEAN, photo BLOB, tags JSON)";

/// The table as a sink of whole rows, whatever they are.
async fn put<K: CacheKey>(table: &SqlTable, key: K, row: Value) -> Result<(), SinkError> {
    let Value::Object(row) = row else {
        panic!("no row: {row}")
    };
    Sink::<K, Row>::put(table, &key, &row).await
}

pub(crate) fn why(error: &SinkError) -> String {
    let mut said = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        said = format!("{said}: {error}");
        source = error.source();
    }
    said
}

#[tokio::test]
async fn a_value_comes_back_as_it_was_put() {
    for_each_database(async |db| {
        db.run(USERS).await;
        let table = SqlTable::new(db.pool.clone(), "users");
        table.put(&1_u64, &ada()).await.expect("puts");
        assert_eq!(one(&table, 1_u64).await, Some(ada()));
        let changed = User {
            nick: Some("Countess".into()),
            photo: vec![],
            tags: vec![],
            score: -0.1,
            ..ada()
        };
        table.put(&1_u64, &changed).await.expect("puts again");
        assert_eq!(one(&table, 1_u64).await, Some(changed));
        assert!(Sink::<u64, User>::remove(&table, &1).await.expect("removes"));
        assert!(!Sink::<u64, User>::remove(&table, &1).await.expect("is gone"));
        assert_eq!(one::<_, User>(&table, 1_u64).await, None);
    })
    .await;
}

#[tokio::test]
async fn a_put_leaves_what_the_value_does_not_name() {
    for_each_database(async |db| {
        db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT DEFAULT 'given')")
            .await;
        let table = SqlTable::new(db.pool.clone(), "t");
        put(&table, 1, json!({"a": "x"})).await.expect("puts");
        assert_eq!(one(&table, 1).await, Some(json!({"id": 1, "a": "x", "b": "given"})));
        db.run("UPDATE t SET b = 'kept'").await;
        put(&table, 1, json!({"id": 1, "a": "y"})).await.expect("puts");
        assert_eq!(one(&table, 1).await, Some(json!({"id": 1, "a": "y", "b": "kept"})));
        put(&table, 2, json!({})).await.expect("a key alone is a row");
        put(&table, 2, json!({})).await.expect("and stays one");
        assert_eq!(one(&table, 2).await, Some(json!({"id": 2, "a": null, "b": "given"})));
    })
    .await;
}

#[tokio::test]
async fn many_are_put_and_removed_together_or_not_at_all() {
    listen();
    for_each_database(async |db| {
        db.run("CREATE TABLE heap (hall TEXT, seat INTEGER, n INTEGER CHECK (n < 5000), PRIMARY KEY (hall, seat))")
            .await;
        let table = SqlTable::new(db.pool.clone(), "heap");
        let key = |n: i64| (format!("h{}", n % 3), n);
        let row = |n: i64| Row::from_iter([("n".to_owned(), json!(n))]);
        let before = count("INTO \"heap\"") + count("INTO \"public\".\"heap\"");
        let mut rows: Vec<_> = (0..1_000).rev().map(|n| (key(n), row(n))).collect();
        // The later of two with one key is the one that stays.
        rows.insert(0, (key(7), row(4_999)));
        table.put_many(&rows).await.expect("puts");
        let statements = count("INTO \"heap\"") + count("INTO \"public\".\"heap\"") - before;
        assert!(statements <= 4, "{statements} statements for 1,000 rows");
        assert_eq!(db.number("SELECT count(*) FROM heap").await, 1_000);
        assert_eq!(db.number("SELECT n FROM heap WHERE seat = 7").await, 7);

        let poisoned: Vec<_> = (500..1_500).map(|n| (key(n), row(n + 3_600))).collect();
        let refused = table.put_many(&poisoned).await.expect_err("a row breaks the check");
        assert_eq!(refused.kind(), SinkErrorKind::Permanent, "{}", why(&refused));
        assert_eq!(db.number("SELECT max(n) FROM heap").await, 999);

        let keys: Vec<_> = (500..1_500).map(key).collect();
        let removed = Sink::<_, Row>::remove_many(&table, &keys).await.expect("removes");
        assert_eq!(removed, 500);
        assert_eq!(db.number("SELECT count(*) FROM heap").await, 500);
    })
    .await;
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_answers_with_the_whole() {
    for_each_database(async |db| {
        db.run(USERS).await;
        let table = SqlTable::new(db.pool.clone(), "users");
        table.put(&1_u64, &ada()).await.expect("puts");
        let patch = Patch::default().set("nick", "Countess").expect("serialises");
        let patch = patch.set("tags", ["new"]).expect("serialises");
        let whole: Option<User> = table.update(&1_u64, &patch).await.expect("updates");
        let expected = User {
            nick: Some("Countess".into()),
            tags: vec!["new".into()],
            ..ada()
        };
        assert_eq!(whole.as_ref(), Some(&expected));
        assert_eq!(one(&table, 1_u64).await, Some(expected));
        let none: Option<User> = table.update(&2_u64, &patch).await.expect("updates nothing");
        assert_eq!(none, None);
        let empty: Option<User> = table.update(&1_u64, &Patch::default()).await.expect("reads");
        assert_eq!(empty.map(|user| user.nick), Some(Some("Countess".into())));
        let unknown = Patch::default()
            .set("nickname; DROP TABLE users", 1)
            .expect("serialises");
        let refused = Sink::<u64, User>::update(&table, &1, &unknown)
            .await
            .expect_err("no such column");
        assert!(why(&refused).contains("has no column"), "{}", why(&refused));
        let moved = Patch::default().set("id", 2).expect("serialises");
        let refused = Sink::<u64, User>::update(&table, &1, &moved)
            .await
            .expect_err("a key does not change");
        assert!(why(&refused).contains("\"id\""), "{}", why(&refused));
    })
    .await;
}

/// Two patches of different fields at once both stand.
#[tokio::test]
async fn patches_of_different_fields_do_not_undo_each_other() {
    for_each_database(async |db| {
        db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER); INSERT INTO t VALUES (1, 0, 0)")
            .await;
        let table = SqlTable::new(db.pool.clone(), "t");
        let patch = async |field: &str| {
            for n in 1..=20 {
                let patch = Patch::default().set(field, n).expect("serialises");
                Sink::<u64, Row>::update(&table, &1, &patch).await.expect("updates");
            }
        };
        tokio::join!(patch("a"), patch("b"));
        assert_eq!(one(&table, 1).await, Some(json!({"id": 1, "a": 20, "b": 20})));
    })
    .await;
}

#[tokio::test]
async fn an_insert_returns_the_key_that_the_database_drew() {
    for_each_database(async |db| {
        if db.is_postgres() {
            db.run("CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text)")
                .await;
        } else {
            db.run("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT)")
                .await;
        }
        #[derive(Serialize, Deserialize)]
        struct Thing {
            id: u64,
            v: String,
        }
        let table = SqlTable::new(db.pool.clone(), "t");
        let thing = |v: &str| Thing { id: 0, v: v.to_owned() };
        let first: u64 = table.insert(&thing("a")).await.expect("inserts");
        let second: u64 = table.insert(&thing("b")).await.expect("inserts");
        assert!(second > first && first > 0);
        assert_eq!(one(&table, second).await, Some(json!({"id": second, "v": "b"})));
        // A key that the database counts can still be put by its own name.
        put(&table, 100_u64, json!({"v": "c"})).await.expect("puts");
        assert_eq!(one(&table, 100_u64).await, Some(json!({"id": 100, "v": "c"})));
        let odd = Sink::<uuid::Uuid, Thing>::insert(&table, &thing("d"))
            .await
            .expect_err("a number is no UUID");
        assert!(why(&odd).contains("Uuid"), "{}", why(&odd));
        assert_eq!(db.number("SELECT count(*) FROM t WHERE v = 'd'").await, 0);
    })
    .await;
}

#[tokio::test]
async fn hostile_keys_and_values_are_only_keys_and_values() {
    for_each_database(async |db| {
        db.run(r#"CREATE TABLE "t; DROP" ("k""ey" TEXT PRIMARY KEY, "v'" TEXT, doc JSON, bytes BLOB)"#)
            .await;
        let table = SqlTable::new(db.pool.clone(), "t; DROP");
        for hostile in HOSTILE {
            let row = json!({"v'": hostile, "doc": {hostile: [hostile]}, "bytes": "AAE="});
            let written = put(&table, hostile.to_owned(), row.clone()).await;
            if db.is_postgres() && hostile.contains('\0') {
                let refused = written.expect_err("PostgreSQL has no NUL");
                assert_eq!(refused.kind(), SinkErrorKind::Permanent, "{}", why(&refused));
                assert!(
                    why(&refused).contains("NUL") || why(&refused).contains("no such key"),
                    "{}",
                    why(&refused)
                );
                let value = put(&table, "k".to_owned(), json!({"v'": hostile}))
                    .await
                    .expect_err("neither in a value");
                assert!(
                    why(&value).contains("column \"v'\"") && why(&value).contains("NUL"),
                    "{}",
                    why(&value)
                );
                let nested = put(&table, "k".to_owned(), json!({"doc": [hostile]}))
                    .await
                    .expect_err("nor in JSON");
                assert!(why(&nested).contains("NUL"), "{}", why(&nested));
                continue;
            }
            written.unwrap_or_else(|error| panic!("{hostile:?}: {}", why(&error)));
            let read: Row = one(&table, hostile.to_owned()).await.expect("exists");
            assert_eq!(read["v'"], row["v'"], "{hostile:?}");
            assert_eq!(read["doc"], row["doc"], "{hostile:?}");
            let patch = Patch::default().set("v'", "patched").expect("serialises");
            let patched: Option<Row> = table.update(&hostile.to_owned(), &patch).await.expect("updates");
            assert_eq!(patched.expect("exists")["v'"], "patched", "{hostile:?}");
        }
        let rows = db.number(r#"SELECT count(*) FROM "t; DROP""#).await;
        let long = "é".repeat(100_000);
        put(&table, "long".to_owned(), json!({"v'": long})).await.expect("puts");
        assert_eq!(
            one::<_, Row>(&table, "long".to_owned()).await.expect("exists")["v'"],
            json!(long)
        );
        for hostile in HOSTILE {
            Sink::<String, Row>::remove(&table, &hostile.to_owned())
                .await
                .expect("removes");
        }
        assert_eq!(
            rows,
            if db.is_postgres() {
                HOSTILE.len() as i64 - 1
            } else {
                HOSTILE.len() as i64
            }
        );
        assert_eq!(db.number(r#"SELECT count(*) FROM "t; DROP""#).await, 1);
    })
    .await;
}

#[tokio::test]
async fn numbers_are_kept_exactly_or_refused() {
    for_each_database(async |db| {
        db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, i INTEGER, f REAL, s TEXT)")
            .await;
        let table = SqlTable::new(db.pool.clone(), "t");
        for n in [i64::MIN, -1, 0, i64::MAX] {
            put(&table, n, json!({"i": n})).await.expect("puts");
            assert_eq!(
                one::<_, (i64, i64)>(&table.clone().columns(["id", "i"]), n).await,
                Some((n, n))
            );
        }
        let floats = table.clone().columns(["f"]);
        for f in [
            f64::MIN_POSITIVE,
            f64::MAX,
            5e-324,
            0.1,
            1e15,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ] {
            floats
                .put(&1_i64, &(f,))
                .await
                .unwrap_or_else(|error| panic!("{f:e}: {}", why(&error)));
            let read: (f64,) = one(&floats, 1_i64).await.expect("exists");
            assert_eq!(read.0.to_bits(), f.to_bits(), "{f:e}");
        }
        let nan = floats.put(&1_i64, &(f64::NAN,)).await;
        if db.is_postgres() {
            nan.expect("PostgreSQL has one");
            assert!(one::<_, (f64,)>(&floats, 1_i64).await.expect("exists").0.is_nan());
        } else {
            assert!(why(&nan.expect_err("SQLite has none")).contains("column \"f\""));
        }
        let wide = put(&table, 1_i64, json!({"i": u64::MAX})).await.expect_err("too wide");
        assert_eq!(wide.kind(), SinkErrorKind::Permanent, "{}", why(&wide));
        put(&table, 1_i64, json!({"s": u64::MAX.to_string()}))
            .await
            .expect("text holds any number");
        let wide_key = put(&table, u64::MAX, json!({})).await.expect_err("no such key");
        assert_eq!(wide_key.kind(), SinkErrorKind::Permanent, "{}", why(&wide_key));
        let spelled = put(&table, "01".to_owned(), json!({})).await.expect_err("no such key");
        assert_eq!(spelled.kind(), SinkErrorKind::Permanent, "{}", why(&spelled));
    })
    .await;
}

/// A row under another spelling of the key is another key's row.
#[tokio::test]
async fn a_row_under_another_spelling_is_neither_changed_nor_removed() {
    for_each_database(async |db| {
        if db.is_postgres() {
            db.run(
                "CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
                 CREATE TABLE t (k TEXT COLLATE nocase PRIMARY KEY, v INTEGER)",
            )
            .await;
        } else {
            db.run("CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY, v INTEGER)")
                .await;
        }
        let table = SqlTable::new(db.pool.clone(), "t");
        put(&table, "ada".to_owned(), json!({"v": 1})).await.expect("puts");
        put(&table, "ada".to_owned(), json!({"v": 2}))
            .await
            .expect("puts again");
        let other = "ADA".to_owned();
        let refused = put(&table, other.clone(), json!({"v": 3}))
            .await
            .expect_err("the place is taken");
        assert!(why(&refused).contains("spelled differently"), "{}", why(&refused));
        assert!(!Sink::<_, Row>::remove(&table, &other).await.expect("removes nothing"));
        let patch = Patch::default().set("v", 4).expect("serialises");
        assert_eq!(
            Sink::<_, Row>::update(&table, &other, &patch)
                .await
                .expect("changes nothing"),
            None
        );
        assert_eq!(one(&table, "ada".to_owned()).await, Some(json!({"k": "ada", "v": 2})));
        assert!(
            Sink::<_, Row>::remove(&table, &"ada".to_owned())
                .await
                .expect("removes")
        );
    })
    .await;
}

#[tokio::test]
async fn what_does_not_fit_is_permanent_and_names_the_column_but_not_the_value() {
    for_each_database(async |db| {
        db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT NOT NULL, u TEXT UNIQUE, b BLOB)")
            .await;
        let table = SqlTable::new(db.pool.clone(), "t");
        put(&table, 1, json!({"v": "x", "u": "taken"})).await.expect("puts");
        let wrong = [
            json!({"v": null}),
            json!({"u": "no v"}),
            json!({"v": "x", "u": "taken"}),
            json!({"v": "x", "id": 3}),
            json!({"v": "x", "secret": 1}),
            json!({"v": ["secret"]}),
            json!({"v": {"secret": 1}}),
            json!({"v": "x", "b": "secret!"}),
        ];
        for row in wrong {
            let refused = put(&table, 2, row.clone()).await.expect_err("does not fit");
            assert_eq!(refused.kind(), SinkErrorKind::Permanent, "{row}: {}", why(&refused));
            assert!(!why(&refused).contains("secret!"), "{}", why(&refused));
        }
        assert_eq!(db.number("SELECT count(*) FROM t").await, 1);
        let scalar = Sink::<u64, String>::put(&table, &1, &"text".to_owned())
            .await
            .expect_err("no row");
        assert!(why(&scalar).contains("no fields"), "{}", why(&scalar));
    })
    .await;
}
