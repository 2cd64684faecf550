//! Counters in a column: what a cache has counted is there once, in whatever order and however often the table is told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_cache::{
    Ack, BoxError, Cache, Change, CountAs, Counted, SharedSink, Sink, SinkError, SinkErrorKind, Source, Version,
    WriteBehind, WritePolicy,
};
use larder_sql::SqlTable;
use larder_store::Store;
use larder_testkit::{Case, eventually};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use serde::{Deserialize, Serialize};

use crate::{
    databases::{Db, for_each_database},
    reads::Row,
    writes::why,
};

/// Posts 1 and 2, of which one was viewed before, and a table that counts their views.
async fn posts(db: &Db) -> SqlTable {
    db.run("CREATE TABLE posts (id INTEGER PRIMARY KEY, title TEXT NOT NULL, views INTEGER)")
        .await;
    db.run("INSERT INTO posts VALUES (1, 'one', 100), (2, 'two', NULL)")
        .await;
    let table = SqlTable::new(db.pool.clone(), "posts").counter("views");
    table.prepare().namespace("ns").apply().await.expect("prepares");
    table
}

async fn views(db: &Db, id: i64) -> i64 {
    db.number(&format!("SELECT coalesce(views, 0) FROM posts WHERE id = {id}"))
        .await
}

fn counted(key: i64, epoch: u64, seq: u64, series: u64, total: i64, how: CountAs) -> Counted<i64> {
    let version = Version { epoch, seq };
    Counted {
        key,
        version,
        series,
        total,
        how,
    }
}

fn sum(key: i64, epoch: u64, seq: u64, series: u64, total: i64) -> Counted<i64> {
    counted(key, epoch, seq, series, total, CountAs::Sum)
}

async fn count(table: &SqlTable, counts: &[Counted<i64>]) -> Result<(), SinkError> {
    Sink::<i64, Row>::count(table, "ns", counts).await
}

#[tokio::test]
async fn a_running_total_adds_what_was_not_added_yet() {
    for_each_database(async |db| {
        let table = posts(&db).await;
        for (told, expected) in [
            (sum(1, 1, 5, 3, 10), 110),
            (sum(1, 1, 5, 3, 10), 110), // told again: a retry
            (sum(1, 1, 4, 3, 8), 110),  // late
            (sum(1, 1, 9, 3, 12), 112),
            (sum(1, 1, 11, 10, 4), 116), // a new series
            (sum(1, 2, 1, 1, -6), 110),  // a new epoch
            (sum(1, 1, 12, 10, 5), 111), // the rest of the old one
        ] {
            count(&table, &[told]).await.expect("counts");
            assert_eq!(views(&db, 1).await, expected, "{told:?}");
        }
        count(&table, &[sum(2, 1, 6, 6, 3), sum(1, 3, 1, 1, 1), sum(2, 2, 1, 1, 4)])
            .await
            .expect("counts");
        assert_eq!((views(&db, 1).await, views(&db, 2).await), (112, 7), "NULL is 0");
        assert_eq!(
            db.number("SELECT count(*) FROM posts WHERE title IN ('one', 'two')")
                .await,
            2
        );
    })
    .await;
}

/// What the notes are for: told twice, a plain difference is counted twice.
#[tokio::test]
async fn without_notes_a_repeated_difference_is_counted_twice() {
    for_each_database(async |db| {
        let table = posts(&db).await;
        for _ in 0..2 {
            db.run("UPDATE posts SET views = views + 10 WHERE id = 1").await;
            count(&table, &[sum(2, 1, 1, 1, 10)]).await.expect("counts");
        }
        assert_eq!((views(&db, 1).await, views(&db, 2).await), (120, 10));
    })
    .await;
}

#[tokio::test]
async fn a_total_takes_the_counters_place_unless_it_is_of_an_older_epoch() {
    for_each_database(async |db| {
        let table = posts(&db).await;
        let total = |epoch, seq, total| counted(1, epoch, seq, 1, total, CountAs::Total);
        for (told, expected) in [
            (total(2, 3, 7), 7),
            (total(2, 2, 6), 7),
            (total(2, 3, 7), 7),
            (total(1, 9, 500), 7),
            (total(2, 4, 5), 5),
            (total(3, 1, 1), 1),
        ] {
            count(&table, &[told]).await.expect("counts");
            assert_eq!(views(&db, 1).await, expected, "{told:?}");
        }
        count(&table, &[total(4, 1, 8), total(5, 1, 9)]).await.expect("counts");
        assert_eq!(views(&db, 1).await, 9);
    })
    .await;
}

/// Steps of several epochs and series, told in random order, repeated, by several at once.
#[tokio::test(flavor = "multi_thread")]
async fn any_order_by_several_counts_each_step_once() {
    for_each_database(async |db| {
        let table = posts(&db).await;
        let case = Case::each(1, 8).next().expect("there is one");
        let mut random = StdRng::seed_from_u64(case.seed());
        let (mut told, mut expected) = (Vec::new(), [100, 0]);
        for key in [1, 2] {
            for epoch in 1..=3 {
                // Only the last series of an epoch may be told late: the ones before it were told before it began.
                let mut total = 0;
                for seq in 1..=20 {
                    let step = random.random_range(-3..9);
                    total += step;
                    expected[key as usize - 1] += step;
                    told.push(sum(key, epoch, seq, 1, total));
                }
            }
        }
        let tellers = (0..3).map(|_| {
            let mut own = told.clone();
            own.shuffle(&mut random);
            let table = table.clone();
            tokio::spawn(async move {
                for one in own {
                    while let Err(error) = count(&table, &[one]).await {
                        assert_eq!(error.kind(), SinkErrorKind::Retryable, "{}", why(&error));
                    }
                }
            })
        });
        for teller in tellers.collect::<Vec<_>>() {
            teller.await.expect("ends well");
        }
        assert_eq!([views(&db, 1).await, views(&db, 2).await], expected, "{case:?}");
    })
    .await;
}

#[tokio::test]
async fn a_counter_without_a_row_gets_one_if_the_table_takes_it() {
    for_each_database(async |db| {
        let table = posts(&db).await;
        let refused = count(&table, &[sum(1, 1, 1, 1, 5), sum(3, 1, 1, 1, 5)]).await;
        let refused = refused.expect_err("a title must not be NULL");
        assert_eq!(refused.kind(), SinkErrorKind::Permanent, "{}", why(&refused));
        assert_eq!(views(&db, 1).await, 100, "all of a batch or nothing");
        db.run("CREATE TABLE hits (page TEXT PRIMARY KEY, n INTEGER)").await;
        let hits = SqlTable::new(db.pool.clone(), "hits").counter("n");
        hits.prepare().namespace("hits").apply().await.expect("prepares");
        let told = |seq, total| Counted {
            key: "1; DROP TABLE 'hits'".to_owned(),
            version: Version { epoch: 1, seq },
            series: 1,
            total,
            how: CountAs::Sum,
        };
        for (seq, total) in [(1, 2), (2, 5), (2, 5)] {
            let told = [told(seq, total)];
            let counting = Sink::<String, Row>::count(&hits, "hits", &told);
            counting.await.expect("counts");
        }
        assert_eq!(db.number("SELECT n FROM hits").await, 5);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_counted_is_refused_and_changes_nothing() {
    for_each_database(async |db| {
        let table = posts(&db).await;
        let step = sum(1, 1, 1, 1, 5);
        let plain = SqlTable::new(db.pool.clone(), "posts");
        let refused = count(&plain, &[]).await.expect_err("it names no column");
        assert_eq!(refused.kind(), SinkErrorKind::Unsupported);
        assert!(why(&refused).contains("SqlTable::counter"), "{}", why(&refused));
        for column in ["title", "id", "nothing"] {
            let odd = plain.clone().counter(column);
            let refused = count(&odd, &[step]).await.expect_err("it does not count");
            assert_eq!(refused.kind(), SinkErrorKind::Permanent);
            assert!(why(&refused).contains(column), "{}", why(&refused));
        }
        let stranger = Sink::<i64, Row>::count(&table, "other", &[step]).await;
        assert!(why(&stranger.expect_err("it has an owner")).contains("\"ns\""));
        let large = sum(1, 1, 1, 1, i64::MAX - 10);
        let refused = count(&table, &[large]).await.expect_err("it is beyond i64");
        assert_eq!(refused.kind(), SinkErrorKind::Permanent, "{}", why(&refused));
        assert_eq!(views(&db, 1).await, 100);
        // Prepared before there were counters.
        db.run("DROP TABLE larder_counts").await;
        let fresh = plain.counter("views");
        let refused = count(&fresh, &[step]).await.expect_err("it is not prepared");
        assert!(why(&refused).contains("larder sql prepare"), "{}", why(&refused));
        fresh.prepare().namespace("ns").apply().await.expect("prepares");
        count(&fresh, &[step]).await.expect("counts");
        assert_eq!(views(&db, 1).await, 105);
    })
    .await;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Post {
    title: String,
}

/// Commits, and for the first few times says that nobody knows.
#[derive(Clone)]
struct Unheard(SqlTable, Arc<AtomicU64>);

impl Unheard {
    fn hear(&self) -> Result<(), SinkError> {
        let is_lost = self.1.fetch_add(1, Ordering::SeqCst) < 3;
        if is_lost {
            Err(SinkError::in_doubt("the connection was lost"))
        } else {
            Ok(())
        }
    }
}

impl Source<i64, Post> for Unheard {
    async fn load(&self, key: &i64) -> Result<Option<Post>, BoxError> {
        self.0.load(key).await
    }

    fn sink(&self) -> Option<SharedSink<i64, Post>> {
        Some(SharedSink::new(self.clone()))
    }
}

impl Sink<i64, Post> for Unheard {
    async fn put(&self, key: &i64, value: &Post) -> Result<(), SinkError> {
        self.0.put(key, value).await
    }

    async fn remove(&self, key: &i64) -> Result<bool, SinkError> {
        Sink::<i64, Post>::remove(&self.0, key).await
    }

    async fn claim_epoch(&self, namespace: &str) -> Result<u64, SinkError> {
        Sink::<i64, Post>::claim_epoch(&self.0, namespace).await
    }

    async fn apply(&self, namespace: &str, changes: &[Change<i64, Post>]) -> Result<(), SinkError> {
        self.0.apply(namespace, changes).await
    }

    async fn count(&self, namespace: &str, counts: &[Counted<i64>]) -> Result<(), SinkError> {
        Sink::<i64, Post>::count(&self.0, namespace, counts).await?;
        if counts.is_empty() { Ok(()) } else { self.hear() }
    }
}

/// `incr` of a cache, whose flushes are committed and not heard of: each is told again, and counted once. Puts of the same row
/// leave its counter.
#[tokio::test(flavor = "multi_thread")]
async fn a_flush_that_is_told_again_counts_once() {
    for_each_database(async |db| {
        let table = posts(&db).await;
        let lost = Arc::new(AtomicU64::new(0));
        let store = Store::open("embedded:").await.expect("opens");
        let builder = Cache::<i64, Post>::builder("ns")
            .store(&store)
            .ttl(Duration::from_secs(600))
            .source(Unheard(table, lost.clone()))
            .write(WritePolicy::Behind(
                WriteBehind::new(Ack::Memory).delay(Duration::from_millis(1)),
            ));
        let cache = builder.build().await.expect("builds");
        let title = |n: i64| Post {
            title: format!("{n}. edition"),
        };
        for n in 1..=20 {
            assert_eq!(cache.incr(&1, 2).await.expect("counts"), 2 * n);
            cache.put(&1, title(n)).await.expect("puts");
        }
        eventually(Duration::from_secs(60), async || {
            cache.lag().await.is_ok_and(|lag| lag.entries == 0)
        })
        .await;
        assert!(lost.load(Ordering::SeqCst) > 3, "each was told again");
        assert_eq!(views(&db, 1).await, 140);
        let left = db
            .number("SELECT count(*) FROM posts WHERE title = '20. edition'")
            .await;
        assert_eq!(left, 1);
        assert!(cache.drain(Duration::from_secs(60)).await.is_complete);
    })
    .await;
}
