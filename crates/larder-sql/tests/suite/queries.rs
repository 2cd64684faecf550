//! SQL of one's own as source and sink.

use std::time::Duration;

use larder_base::CacheKey;
use larder_cache::{BoxError, Sink, SinkErrorKind, Source};
use larder_sql::SqlQuery;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    databases::{Db, for_each_database},
    hostile::HOSTILE,
    reads::Row,
    statements::{count, listen},
    writes::why,
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Seat {
    label: String,
    price: Option<i64>,
    tags: Vec<String>,
}

/// Rows that are hidden rather than deleted, and found by two columns.
async fn seats(db: &Db) -> SqlQuery {
    db.run("CREATE TABLE seats (hall TEXT, n INTEGER, label TEXT, price INTEGER, tags JSON, gone INTEGER DEFAULT 0, PRIMARY KEY (hall, n))")
        .await;
    // Two lists are joined member by member, which on a busy machine takes its time.
    let query = SqlQuery::new(db.pool.clone())
        .key(["hall", "n"])
        .deadline(Duration::from_secs(60));
    if db.is_postgres() {
        query
            .on_load("SELECT label, price, tags FROM seats WHERE hall = :hall AND n = :n::int8 AND gone = 0 -- :not a name")
            .on_load_many(
                "SELECT hall, n, label, price, tags FROM seats JOIN unnest(:hall::text[], :n::int8[]) AS w(h, m) \
                 ON h = hall AND m = n WHERE gone = 0;",
            )
            .on_put(
                "INSERT INTO seats VALUES (:hall, :n::int8, :label, :price::int8, :tags::json) ON CONFLICT (hall, n) DO UPDATE \
                 SET label = :label, price = :price::int8, tags = :tags::json, gone = 0",
            )
            .on_remove("UPDATE seats SET gone = 1 WHERE hall = :hall AND n = :n::int8 AND gone = 0")
    } else {
        query
            .on_load("SELECT label, price, tags FROM seats WHERE hall = :hall AND n = :n AND NOT gone -- :not a name")
            .on_load_many(
                "SELECT s.hall, s.n, label, price, tags FROM json_each(:hall) AS h JOIN json_each(:n) AS n ON n.key = h.key \
                 JOIN seats AS s ON s.hall = h.value AND s.n = n.value WHERE NOT gone;",
            )
            .on_put(
                "INSERT INTO seats VALUES (:hall, :n, :label, :price, :tags, 0) ON CONFLICT (hall, n) DO UPDATE \
                 SET label = :label, price = :price, tags = :tags, gone = 0",
            )
            .on_remove("UPDATE seats SET gone = 1 WHERE hall = :hall AND n = :n AND NOT gone")
    }
}

async fn load<K: CacheKey>(query: &SqlQuery, key: K) -> Result<Option<Seat>, BoxError> {
    query.load(&key).await
}

#[tokio::test]
async fn own_sql_loads_puts_and_removes() {
    listen();
    for_each_database(async |db| {
        let query = seats(&db).await;
        let seat = |price| Seat {
            label: "A1".into(),
            price,
            tags: vec!["aisle".into()],
        };
        let key = |n: u32| ("it's".to_owned(), n);
        // A NULL first, so that the statement is prepared with it.
        for price in [None, Some(i64::MAX), None, Some(0)] {
            query
                .put(&key(1), &seat(price))
                .await
                .unwrap_or_else(|error| panic!("{}", why(&error)));
            assert_eq!(load(&query, key(1)).await.expect("loads"), Some(seat(price)));
        }
        let many: Vec<_> = (2..300).map(|n| (key(n), seat(Some(n.into())))).collect();
        query.put_many(&many).await.expect("puts");
        let before = count("AS h");
        let keys: Vec<_> = (0..400).map(key).collect();
        let mut found: Vec<(_, Seat)> = query.load_many(&keys).await.expect("loads");
        assert!(
            count("AS h") - before <= 2,
            "one to look at the columns, and one for all"
        );
        found.sort_by_key(|(key, _)| key.1);
        assert_eq!(found[1..], many);
        assert!(Sink::<_, Seat>::remove(&query, &key(1)).await.expect("removes"));
        assert!(!Sink::<_, Seat>::remove(&query, &key(1)).await.expect("is gone"));
        assert_eq!(load(&query, key(1)).await.expect("loads"), None);
        assert_eq!(Sink::<_, Seat>::remove_many(&query, &keys).await.expect("removes"), 298);
        assert_eq!(
            db.number("SELECT count(*) FROM seats").await,
            299,
            "hidden, not deleted"
        );
    })
    .await;
}

#[tokio::test]
async fn hostile_keys_and_values_stay_values_in_own_sql() {
    for_each_database(async |db| {
        let query = seats(&db).await;
        for hostile in HOSTILE {
            let seat = Seat {
                label: hostile.into(),
                price: None,
                tags: vec![hostile.into()],
            };
            let key = (hostile.to_owned(), 1_u32);
            let put = query.put(&key, &seat).await;
            if db.is_postgres() && hostile.contains('\0') {
                assert_eq!(put.expect_err("no text has a NUL").kind(), SinkErrorKind::Permanent);
                continue;
            }
            put.unwrap_or_else(|error| panic!("{hostile:?}: {}", why(&error)));
            assert_eq!(load(&query, key).await.expect("loads"), Some(seat), "{hostile:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn sql_that_does_not_do_its_part_says_so() {
    for_each_database(async |db| {
        let query = seats(&db).await;
        let bare = SqlQuery::new(db.pool.clone());
        let said = |error: BoxError| error.to_string();
        let missing = said(load(&bare, 1_u64).await.expect_err("there is none"));
        assert!(missing.contains("SqlQuery::on_load"), "{missing}");
        let shape = said(load(&query, 1_u64).await.expect_err("two parts"));
        assert!(shape.contains("hall"), "{shape}");
        let unknown = said(
            load(&bare.clone().on_load("SELECT :secret AS label"), 1_u64)
                .await
                .expect_err("no such variable"),
        );
        assert!(unknown.contains(":secret"), "{unknown}");
        let row = json!({"label": "x", "price": null, "tags": []});
        let Value::Object(row) = row else {
            unreachable!("it is an object")
        };
        for n in [1, 2] {
            Sink::<_, Row>::put(&query, &("h".to_owned(), n), &row)
                .await
                .expect("puts");
        }
        let all = bare
            .clone()
            .on_load("SELECT label, price, tags FROM seats")
            .on_load_many("SELECT label FROM seats");
        let two = said(load(&all, 1_u64).await.expect_err("two rows"));
        assert!(two.contains("more than one row"), "{two}");
        let whose = Source::<u64, Seat>::load_many(&all, &[1])
            .await
            .expect_err("whose are they?");
        assert!(said(whose).contains("\"id\""));
        // A changed table is looked at again.
        let star = bare.on_load("SELECT * FROM seats WHERE n = 1");
        let before: Option<Row> = star.load(&1_u64).await.expect("loads");
        assert_eq!(before.expect("exists").len(), 6);
        db.run("ALTER TABLE seats DROP COLUMN price").await;
        let after: Option<Row> = star.load(&1_u64).await.expect("loads");
        assert_eq!(after.expect("exists").len(), 5);
    })
    .await;
}

#[tokio::test]
async fn types_of_postgres_have_the_forms_that_a_table_gives_them() {
    let db = Db::postgres().await;
    db.run("CREATE TYPE mood AS ENUM ('ok'); CREATE DOMAIN small AS int2")
        .await;
    let query = SqlQuery::new(db.pool).on_load(
        "SELECT 1::int2 AS i, 1.50::numeric AS n, '2024-02-29 12:00Z'::timestamptz AS at, 'ok'::mood AS e, 7::small AS d, \
         '{1,2}'::int[] AS l, '{ok}'::mood[] AS m, '\\x00ff'::bytea AS b, '{\"a\": 1}'::jsonb AS j, 'x'::char(3) AS c, \
         (:id::int8 + 1) AS next, '0123456789abcdef0123456789abcdef'::uuid AS u",
    );
    let row: Option<Row> = query.load(&41_u64).await.expect("loads");
    let expected = json!({
        "i": 1, "n": "1.50", "at": "2024-02-29T12:00:00+00:00", "e": "ok", "d": 7, "l": [1, 2], "m": ["ok"], "b": "AP8=",
        "j": {"a": 1}, "c": "x", "next": 42, "u": "01234567-89ab-cdef-0123-456789abcdef",
    });
    assert_eq!(row.map(Value::Object), Some(expected));
    let odd = query.on_load("SELECT '1 day'::interval AS span");
    let odd = Source::<u64, Row>::load(&odd, &1)
        .await
        .expect_err("not read")
        .to_string();
    assert!(odd.contains("\"span\"") && odd.contains("interval"), "{odd}");
}
