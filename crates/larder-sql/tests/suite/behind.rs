//! Versioned changes: whatever order they arrive in, and however often, the highest version of each key stands.

use std::collections::HashMap;

use larder_cache::{Change, Sink, SinkErrorKind, Version};
use larder_sql::{Outbox, Prepare, SqlTable};
use larder_testkit::Case;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use serde_json::{Value, json};

use crate::{
    databases::{Db, for_each_database},
    reads::{Row, one},
    writes::why,
};

/// Both ways to keep versions, on every database, each with a prepared table `t` of the namespace `ns`.
async fn for_each_way(test: impl AsyncFn(Db, SqlTable)) {
    for_each_database(async |first| {
        let second = if first.is_postgres() {
            Db::postgres().await
        } else {
            Db::sqlite().await
        };
        let columns: fn(Prepare) -> Prepare = |prepare| prepare;
        for (db, way) in [
            (first, columns),
            (second, Prepare::side_table as fn(Prepare) -> Prepare),
        ] {
            db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER NOT NULL)")
                .await;
            let table = SqlTable::new(db.pool.clone(), "t");
            way(table.prepare().namespace("ns")).apply().await.expect("prepares");
            println!(
                "{}",
                if table.schema().await.expect("exists").columns.len() == 2 {
                    "side table"
                } else {
                    "columns"
                }
            );
            test(db, table).await;
        }
    })
    .await;
}

fn version(epoch: u64, seq: u64) -> Version {
    Version { epoch, seq }
}

fn put(key: i64, version: Version, v: i64) -> Change<i64, Row> {
    let Value::Object(row) = json!({"v": v}) else {
        unreachable!("it is an object")
    };
    Change {
        key,
        version,
        value: Some(row),
    }
}

fn remove(key: i64, version: Version) -> Change<i64, Row> {
    Change {
        key,
        version,
        value: None,
    }
}

async fn v(table: &SqlTable, key: i64) -> Option<i64> {
    one::<_, (i64, i64)>(table, key).await.map(|row| row.1)
}

#[tokio::test]
async fn an_older_change_does_nothing_and_a_newer_one_stands() {
    for_each_way(async |_, table| {
        let apply = async |changes: &[Change<i64, Row>]| table.apply("ns", changes).await.expect("applies");
        apply(&[put(1, version(1, 5), 50), put(2, version(1, 5), 50)]).await;
        apply(&[put(1, version(1, 4), 40), put(2, version(1, 6), 60)]).await;
        assert_eq!((v(&table, 1).await, v(&table, 2).await), (Some(50), Some(60)));
        // A later epoch is higher, whatever its number.
        apply(&[put(1, version(2, 1), 1), put(2, version(1, 6), 0)]).await;
        assert_eq!((v(&table, 1).await, v(&table, 2).await), (Some(1), Some(60)));
        // One key twice in a batch: the higher of the two.
        apply(&[
            put(3, version(1, 2), 2),
            put(3, version(1, 1), 1),
            remove(1, version(2, 2)),
            put(1, version(2, 1), 9),
        ])
        .await;
        assert_eq!((v(&table, 3).await, v(&table, 1).await), (Some(2), None));
    })
    .await;
}

#[tokio::test]
async fn a_removed_row_does_not_come_back_with_an_older_put() {
    for_each_way(async |db, table| {
        let apply = async |change: Change<i64, Row>| table.apply("ns", &[change]).await.expect("applies");
        // Removed before the database ever had it.
        apply(remove(1, version(1, 2))).await;
        apply(put(1, version(1, 1), 1)).await;
        assert_eq!(v(&table, 1).await, None);
        apply(put(1, version(1, 3), 3)).await;
        assert_eq!(v(&table, 1).await, Some(3));
        apply(remove(1, version(1, 2))).await;
        assert_eq!(v(&table, 1).await, Some(3), "an older removal does nothing");
        apply(remove(1, version(1, 4))).await;
        apply(remove(1, version(1, 4))).await;
        apply(put(1, version(1, 4), 4)).await;
        assert_eq!(v(&table, 1).await, None);
        assert_eq!(db.number("SELECT count(*) FROM larder_applied").await, 1);
    })
    .await;
}

/// What the guide says of removing what `larder_applied` has: nothing breaks, and what is older can come back.
#[tokio::test]
async fn without_its_version_a_removed_row_comes_back_with_an_older_put() {
    for_each_way(async |db, table| {
        let apply = async |change: Change<i64, Row>| table.apply("ns", &[change]).await.expect("applies");
        for key in [1, 2] {
            apply(put(key, version(1, 1), 1)).await;
            apply(remove(key, version(1, 2))).await;
        }
        db.run("DELETE FROM larder_applied WHERE tbl = 't'").await;
        apply(put(1, version(1, 3), 3)).await;
        apply(put(1, version(1, 2), 2)).await;
        assert_eq!(v(&table, 1).await, Some(3), "versions begin anew");
        apply(put(2, version(1, 1), 1)).await;
        assert_eq!(
            v(&table, 2).await,
            Some(1),
            "hence only where nothing older can come any more"
        );
    })
    .await;
}

/// Changes in random order, repeated, in random batches, by several at once: as one after another would leave it.
#[tokio::test(flavor = "multi_thread")]
async fn any_order_of_batches_by_several_leaves_the_highest_versions() {
    for_each_way(async |_, table| {
        let case = Case::each(1, 4).next().expect("there is one");
        let mut random = StdRng::seed_from_u64(case.seed());
        const KEYS: i64 = 12;
        let mut changes = Vec::new();
        let mut expected: HashMap<i64, Option<i64>> = HashMap::new();
        for seq in 1..=400 {
            let key = random.random_range(0..KEYS);
            let change = if random.random_bool(0.4) {
                remove(key, version(1, seq))
            } else {
                put(key, version(1, seq), seq as i64)
            };
            expected.insert(key, change.value.as_ref().map(|_| seq as i64));
            changes.push(change);
        }
        let flushers = (0..4).map(|_| {
            let mut own: Vec<_> = changes.clone();
            own.shuffle(&mut random);
            let sizes: Vec<usize> = (0..own.len()).map(|_| random.random_range(1..20)).collect();
            let table = table.clone();
            tokio::spawn(async move {
                let mut rest = own.as_slice();
                for size in sizes {
                    let (batch, tail) = rest.split_at(size.min(rest.len()));
                    rest = tail;
                    while let Err(error) = table.apply("ns", batch).await {
                        assert_eq!(error.kind(), SinkErrorKind::Retryable, "{}", why(&error));
                    }
                }
            })
        });
        for flusher in flushers.collect::<Vec<_>>() {
            flusher.await.expect("ends well");
        }
        for key in 0..KEYS {
            assert_eq!(
                v(&table, key).await,
                expected.get(&key).copied().flatten(),
                "key {key}, {case:?}"
            );
        }
    })
    .await;
}

/// What the guard is for: without it the last to arrive stands.
#[tokio::test]
async fn without_versions_a_late_change_wins() {
    for_each_database(async |db| {
        db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER NOT NULL)")
            .await;
        let table = SqlTable::new(db.pool, "t");
        let (new, old) = (put(1, version(1, 2), 2), put(1, version(1, 1), 1));
        for change in [new, old] {
            Sink::put(&table, &change.key, &change.value.expect("it puts"))
                .await
                .expect("puts");
        }
        assert_eq!(v(&table, 1).await, Some(1));
    })
    .await;
}

#[tokio::test]
async fn epochs_grow_and_a_table_has_one_owner() {
    for_each_way(async |db, table| {
        let claim = async |namespace: &str| Sink::<i64, Row>::claim_epoch(&table, namespace).await;
        let first = claim("ns").await.expect("draws");
        let second = claim("ns").await.expect("draws");
        assert!(second > first && first > 0);
        let stranger = claim("other").await.expect_err("it has an owner");
        assert_eq!(stranger.kind(), SinkErrorKind::Permanent);
        assert!(
            why(&stranger).contains("\"ns\"") && why(&stranger).contains("\"other\""),
            "{}",
            why(&stranger)
        );
        let stranger = table
            .apply("other", &[put(1, version(1, 1), 1)])
            .await
            .expect_err("it has an owner");
        assert!(why(&stranger).contains("\"ns\""), "{}", why(&stranger));
        let again = SqlTable::new(db.pool.clone(), "t");
        let has_columns = table.schema().await.expect("exists").columns.len() > 2;
        let way = |prepare: Prepare, has_columns: bool| if has_columns { prepare } else { prepare.side_table() };
        way(again.prepare().namespace("ns"), has_columns)
            .apply()
            .await
            .expect("once more does no harm");
        let refused = way(again.prepare().namespace("other"), has_columns)
            .apply()
            .await
            .expect_err("it has an owner");
        assert!(refused.to_string().contains("\"ns\""), "{refused}");
        let refused = way(again.prepare(), !has_columns)
            .apply()
            .await
            .expect_err("versions do not move");
        assert!(refused.to_string().contains("keeps its versions in"), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn a_table_that_is_not_prepared_is_refused_and_says_what_to_run() {
    for_each_database(async |db| {
        db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER NOT NULL)")
            .await;
        let table = SqlTable::new(db.pool.clone(), "t");
        let change = table.apply("ns", &[put(1, version(1, 1), 1)]).await;
        let epoch = Sink::<i64, Row>::claim_epoch(&table, "ns").await;
        for (refused, kind) in [
            // What was accepted waits until the table is prepared.
            (change.expect_err("not prepared"), SinkErrorKind::Retryable),
            (epoch.expect_err("not prepared"), SinkErrorKind::Permanent),
        ] {
            assert_eq!(refused.kind(), kind);
            assert!(why(&refused).contains("larder sql prepare"), "{}", why(&refused));
        }
        // Prepared for nobody, it belongs to the first that draws an epoch.
        table.prepare().apply().await.expect("prepares");
        table
            .apply("ns", &[put(1, version(1, 1), 1)])
            .await
            .expect_err("nobody owns it yet");
        Sink::<i64, Row>::claim_epoch(&table, "ns").await.expect("draws");
        table.apply("ns", &[put(1, version(1, 1), 1)]).await.expect("applies");
        Sink::<i64, Row>::claim_epoch(&table, "other")
            .await
            .expect_err("it has an owner now");
    })
    .await;
}

#[tokio::test]
async fn a_table_is_prepared_by_several_at_once() {
    for_each_database(async |db| {
        db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER NOT NULL)")
            .await;
        let table = || SqlTable::new(db.pool.clone(), "t");
        let (outbox, beside) = (Outbox::new(db.pool.clone()), Outbox::new(db.pool.clone()));
        let prepare = async |table: SqlTable| table.prepare().namespace("ns").apply().await.map(drop);
        let done = tokio::join!(
            prepare(table()),
            prepare(table()),
            prepare(table()),
            outbox.prepare(),
            beside.prepare()
        );
        for done in [done.0, done.1, done.2, done.3, done.4] {
            done.expect("prepares");
        }
        table().apply("ns", &[put(1, version(1, 1), 1)]).await.expect("applies");
    })
    .await;
}

#[tokio::test]
async fn versions_are_no_part_of_a_value() {
    for_each_way(async |_, table| {
        table.apply("ns", &[put(1, version(3, 7), 1)]).await.expect("applies");
        let row: Row = one(&table, 1).await.expect("exists");
        assert_eq!(Value::Object(row.clone()), json!({"id": 1, "v": 1}));
        // And a put of somebody else's does not touch them.
        Sink::put(&table, &1_i64, &row).await.expect("puts");
        table
            .apply("ns", &[put(1, version(3, 6), 9)])
            .await
            .expect("applies nothing");
        assert_eq!(v(&table, 1).await, Some(1));
    })
    .await;
}

#[tokio::test]
async fn the_trigger_keeps_others_from_turning_versions_back() {
    for_each_database(async |db| {
        db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER NOT NULL)")
            .await;
        let table = SqlTable::new(db.pool.clone(), "t");
        let turned_back = "UPDATE t SET v = 0, l_epoch = 0, l_seq = 0";
        table.prepare().namespace("ns").apply().await.expect("prepares");
        table.apply("ns", &[put(1, version(1, 5), 5)]).await.expect("applies");
        db.run(turned_back).await;
        table.apply("ns", &[put(1, version(1, 4), 4)]).await.expect("applies");
        assert_eq!(v(&table, 1).await, Some(4), "without it an older change passes");
        table.apply("ns", &[put(1, version(1, 6), 6)]).await.expect("applies");
        for _ in 0..2 {
            table
                .prepare()
                .namespace("ns")
                .trigger()
                .apply()
                .await
                .expect("prepares, once more too");
        }
        db.run(turned_back).await;
        assert_eq!(v(&table, 1).await, Some(0));
        table
            .apply("ns", &[put(1, version(1, 5), 5)])
            .await
            .expect("applies nothing");
        assert_eq!(v(&table, 1).await, Some(0));
        table.apply("ns", &[put(1, version(1, 7), 7)]).await.expect("applies");
        assert_eq!(v(&table, 1).await, Some(7));
    })
    .await;
}

#[tokio::test]
async fn composite_and_hostile_keys_have_versions_too() {
    for_each_database(async |db| {
        db.run(r#"CREATE TABLE "t's" (a TEXT, b INTEGER, v INTEGER, PRIMARY KEY (a, b))"#)
            .await;
        let table = SqlTable::new(db.pool.clone(), "t's");
        table.prepare().namespace("ns").apply().await.expect("prepares");
        let change = |key: &(String, i64), seq, v: Option<i64>| Change {
            key: key.clone(),
            version: version(1, seq),
            value: v.map(|v| Row::from_iter([("v".to_owned(), json!(v))])),
        };
        let keys: Vec<(String, i64)> = crate::hostile::HOSTILE
            .iter()
            .filter(|key| !db.is_postgres() || !key.contains('\0'))
            .map(|key| ((*key).to_owned(), -1))
            .collect();
        let changes = |seq, v| keys.iter().map(|key| change(key, seq, v)).collect::<Vec<_>>();
        table.apply("ns", &changes(2, Some(2))).await.expect("applies");
        table.apply("ns", &changes(1, Some(1))).await.expect("applies nothing");
        assert_eq!(db.number(r#"SELECT min(v) FROM "t's""#).await, 2);
        assert_eq!(db.number(r#"SELECT count(*) FROM "t's""#).await, keys.len() as i64);
        table.apply("ns", &changes(3, None)).await.expect("removes");
        table.apply("ns", &changes(2, Some(2))).await.expect("applies nothing");
        assert_eq!(db.number(r#"SELECT count(*) FROM "t's""#).await, 0);
        assert_eq!(
            db.number("SELECT count(*) FROM larder_applied").await,
            keys.len() as i64
        );
        table.apply("ns", &changes(4, Some(4))).await.expect("applies");
        assert_eq!(
            db.number("SELECT count(*) FROM larder_applied").await,
            0,
            "rows have their own versions"
        );
    })
    .await;
}
