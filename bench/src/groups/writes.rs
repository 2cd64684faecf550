//! Writes of a table's rows: upserts by hand, the same through the cache, and behind it. PostgreSQL waits for its disk, and
//! redis-server for its own where it accepts writes, but not where it only caches. Keys are drawn as in real life, few of them most of the time, so that
//! what waits behind the cache is often replaced before it is flushed.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use larder_base::{Clock, Random};
use larder_cache::{Ack, Cache, WriteBehind, WritePolicy};
use larder_sql::{PoolConfig, SqlTable};
use larder_store::Store;
use larder_testkit::{PgServer, RedisServer};

use super::Group;
use crate::{
    Lab,
    lab::{
        near::TTL,
        rounds::{Round, histogram},
        store::spread,
        user::User,
    },
    node::Answer,
    report::{Section, Table},
};

pub(crate) const GROUP: Group = Group {
    name: "writes",
    about: "puts of zipf-distributed keys; fsync on in PostgreSQL, appendfsync always in the redis-server behind which is written",
    run: |lab| lab.runtime.block_on(run(lab)),
};

/// Rows of each table.
const KEYS: u64 = 10_000;

/// Keys drawn ahead, which all tasks share.
const DRAWN: usize = 1 << 16;

/// Connections to the database, the same for everyone.
const CONNECTIONS: u32 = 16;

/// Tasks, and puts of one round by all of them.
const SIZES: [(u64, u64); 3] = [(1, 500), (16, 4_000), (64, 8_000)];

/// Long enough for whatever waits.
const FLUSH_MAX: Duration = Duration::from_secs(120);

async fn run(lab: &Lab) -> anyhow::Result<Section> {
    let redis = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    let preload = "shared_preload_libraries=pg_stat_statements";
    let db = Db(PgServer::start_with(&["-c", "fsync=on", "-c", preload]).await);
    db.sql("CREATE EXTENSION pg_stat_statements");
    let writers = writers(&db, &lab.redis.url(), &redis.url()).await?;
    let drawn = zipf(&Random::seeded(11));
    let mut rows = Vec::new();
    for (tasks, puts) in SIZES {
        let mut yardstick = None;
        for writer in &writers {
            let mut done = Vec::new();
            for _ in 0..lab.rounds {
                done.push(round(&db, writer.clone(), &drawn, tasks, puts).await?);
            }
            rows.push(row(tasks, writer.name(), done, &mut yardstick));
        }
    }
    Ok(Section::Table(Table {
        title: format!(
            "{KEYS} rows, {CONNECTIONS} connections to the database; statements are those that PostgreSQL counted, BEGIN and COMMIT included"
        ),
        columns: vec![
            "tasks",
            "subject",
            "puts/s",
            "ratio",
            "ack p50",
            "ack p99",
            "CPU/put",
            "statements/1,000",
            "rows/1,000",
            "all in the database after",
        ],
        rows,
    }))
}

/// PostgreSQL, and what it counts.
struct Db(PgServer);

impl Db {
    fn sql(&self, sql: &str) -> String {
        self.0.sql("postgres", sql)
    }

    fn count_anew(&self) {
        self.sql("SELECT pg_stat_statements_reset()");
    }

    /// Statements, and rows changed, since then.
    fn counted(&self) -> anyhow::Result<(u64, u64)> {
        let counted = self.sql(
            "SELECT sum(calls), coalesce(sum(rows) FILTER (WHERE query ILIKE '%INSERT%'), 0) \
             FROM pg_stat_statements WHERE query NOT ILIKE '%pg_stat_statements%'",
        );
        let (calls, rows) = counted.split_once('|').context("two counts")?;
        Ok((calls.parse()?, rows.parse()?))
    }
}

/// A way to write.
trait Writer: Send + Sync {
    fn name(&self) -> &'static str;

    fn put(&self, id: u64) -> Answer<'_, ()>;

    /// Waits until the database has everything.
    fn settle(&self) -> Answer<'_, ()>;
}

/// What only caches keeps nothing on disk.
async fn writers(db: &Db, caching: &str, keeping: &str) -> anyhow::Result<Vec<Arc<dyn Writer>>> {
    let (store, log) = (Store::open(caching).await?, Store::open(keeping).await?);
    let behind = WritePolicy::Behind(WriteBehind::new(Ack::Fsync));
    Ok(vec![
        Arc::new(Upserts::open(db).await?),
        Arc::new(Cached::open("larder, write-around", db, &store, WritePolicy::Around).await?),
        Arc::new(Cached::open("larder, write-through", db, &store, WritePolicy::Through).await?),
        Arc::new(Cached::open("larder, write-behind", db, &log, behind).await?),
    ])
}

const COLUMNS: &str = "id BIGINT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, team INTEGER NOT NULL";

struct Upserts(sqlx::PgPool);

impl Upserts {
    async fn open(db: &Db) -> anyhow::Result<Self> {
        db.sql(&format!("CREATE TABLE by_hand ({COLUMNS})"));
        let pool = PoolConfig::new(&db.0.url("postgres")).connections(CONNECTIONS);
        Ok(Self(pool.open_postgres().await?))
    }
}

impl Writer for Upserts {
    fn name(&self) -> &'static str {
        "upserts by hand, no cache"
    }

    fn put(&self, id: u64) -> Answer<'_, ()> {
        Box::pin(async move {
            let user = User::number(id);
            let upsert = "INSERT INTO by_hand VALUES ($1, $2, $3, $4) ON CONFLICT (id) \
                          DO UPDATE SET name = EXCLUDED.name, email = EXCLUDED.email, team = EXCLUDED.team";
            let upsert = sqlx::query(upsert).bind(id as i64).bind(user.name).bind(user.email);
            upsert.bind(user.team as i32).execute(&self.0).await?;
            Ok(())
        })
    }

    fn settle(&self) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

struct Cached {
    name: &'static str,
    cache: Cache<u64, User>,
    is_behind: bool,
}

impl Cached {
    async fn open(name: &'static str, db: &Db, store: &Store, policy: WritePolicy) -> anyhow::Result<Self> {
        let table = name.rsplit('-').next().context("a name with a policy")?;
        db.sql(&format!("CREATE TABLE {table} ({COLUMNS})"));
        let pool = PoolConfig::new(&db.0.url("postgres")).connections(CONNECTIONS);
        let sql = SqlTable::new(pool.open().await?, table);
        let is_behind = matches!(policy, WritePolicy::Behind(_));
        if is_behind {
            sql.prepare().namespace("bench-behind").apply().await?;
        }
        let cache = Cache::builder(format!("bench-{table}"))
            .store(store)
            .near(KEYS as usize)
            .ttl(TTL)
            .source(sql)
            .write(policy)
            .build()
            .await?;
        Ok(Self { name, cache, is_behind })
    }
}

impl Writer for Cached {
    fn name(&self) -> &'static str {
        self.name
    }

    fn put(&self, id: u64) -> Answer<'_, ()> {
        Box::pin(async move {
            self.cache.put(&id, User::number(id)).await?;
            Ok(())
        })
    }

    fn settle(&self) -> Answer<'_, ()> {
        Box::pin(async {
            let (clock, look) = (Clock::system(), Duration::from_millis(5));
            let until = clock.monotonic() + FLUSH_MAX;
            while self.is_behind && self.cache.lag().await?.entries > 0 {
                anyhow::ensure!(clock.monotonic() < until, "not flushed within {FLUSH_MAX:?}");
                clock.sleep(look).await;
            }
            Ok(())
        })
    }
}

/// What one round of one writer did.
struct Done {
    round: Round,
    settled: Duration,
    statements: u64,
    rows: u64,
}

async fn round(db: &Db, writer: Arc<dyn Writer>, drawn: &Arc<[u64]>, tasks: u64, puts: u64) -> anyhow::Result<Done> {
    /// Apart from each other, so that no two tasks draw the same keys at the same time.
    const APART: u64 = 977;
    db.count_anew();
    let (clock, drawn, putting) = (Clock::system(), Arc::clone(drawn), Arc::clone(&writer));
    let began = clock.monotonic();
    let put = move |task, i| {
        let (writer, id) = (Arc::clone(&putting), drawn[((task * APART + i) as usize) % DRAWN]);
        async move { writer.put(id).await }
    };
    let round = spread(tasks, puts, put).await?;
    writer.settle().await?;
    let settled = clock.monotonic() - began;
    let (statements, rows) = db.counted()?;
    Ok(Done {
        round,
        settled,
        statements,
        rows,
    })
}

/// The middle round by the clock on the wall: what writes wait for is disks.
fn row(tasks: u64, name: &str, mut done: Vec<Done>, yardstick: &mut Option<f64>) -> Vec<String> {
    let rate = |done: &Done| done.round.operations as f64 / done.round.wall.as_secs_f64();
    done.sort_by(|a, b| rate(a).total_cmp(&rate(b)));
    let mut latencies = histogram();
    for one in done.iter().filter_map(|one| one.round.latencies.as_ref()) {
        latencies.add(one).expect("all histograms have the same bounds");
    }
    let middle = &done[done.len() / 2];
    let per_thousand = |count: u64| count as f64 * 1e3 / middle.round.operations as f64;
    let at = |quantile| format!("{:.2} ms", latencies.value_at_quantile(quantile) as f64 / 1e6);
    let cpu = middle.round.cpu.as_secs_f64() * 1e6 / middle.round.operations as f64;
    let base = *yardstick.get_or_insert_with(|| rate(middle));
    vec![
        tasks.to_string(),
        name.to_owned(),
        format!("{:.0}", rate(middle)),
        format!("{:.2}", rate(middle) / base),
        at(0.5),
        at(0.99),
        format!("{cpu:.0} µs"),
        format!("{:.0}", per_thousand(middle.statements)),
        format!("{:.0}", per_thousand(middle.rows)),
        format!("{:.2} s", middle.settled.as_secs_f64()),
    ]
}

/// Keys by Zipf's law with exponent 1: the second is drawn half as often as the first, the third a third as often.
fn zipf(random: &Random) -> Arc<[u64]> {
    let mut sums = Vec::with_capacity(KEYS as usize);
    let mut sum = 0.0;
    for rank in 1..=KEYS {
        sum += 1.0 / rank as f64;
        sums.push(sum);
    }
    (0..DRAWN)
        .map(|_| sums.partition_point(|&upto| upto < random.unit() * sum) as u64)
        .collect()
}
