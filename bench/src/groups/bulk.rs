//! Loading many rows of a PostgreSQL table: a thousand keys at once and one by one, and a million rows before the traffic
//! comes. The limit beside it is what the two servers can do at all: `COPY` out of one, a pipelined `SET` into the other,
//! with nothing that would keep an old row from being cached.

use std::time::Duration;

use futures_util::{StreamExt as _, future::BoxFuture, stream};
use larder_base::Clock;
use larder_cache::Cache;
use larder_sql::{PoolConfig, SqlTable};
use larder_store::Store;
use larder_testkit::{PgServer, RedisServer};
use redis::aio::MultiplexedConnection;
use sqlx::{Row as _, postgres::PgPoolCopyExt as _};

use super::Group;
use crate::{
    Lab,
    lab::{cpu, near::TTL, user::User},
    report::{Section, Table},
};

pub(crate) const GROUP: Group = Group {
    name: "bulk",
    about: "loading many rows of a PostgreSQL table into redis-server",
    run: |lab| lab.runtime.block_on(run(lab)),
};

/// Rows of the table.
const ROWS: u64 = 1_000_000;

/// Keys that are read together.
const BATCH: u64 = 1_000;

/// Rows of one pipeline by hand.
const PIPELINE: usize = 1_000;

async fn run(lab: &Lab) -> anyhow::Result<Section> {
    let db = PgServer::start().await;
    db.sql(
        "postgres",
        &format!(
            "CREATE TABLE users (id BIGINT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, team INTEGER NOT NULL); \
             INSERT INTO users SELECT i, 'Ada Lovelace ' || i, 'ada.' || i || '@example.org', i % 100 \
             FROM generate_series(0, {}) AS i; ANALYZE users",
            ROWS - 1
        ),
    );
    let bench = Bench {
        pool: PoolConfig::new(&db.url("postgres")).open_postgres().await?,
        redis: RedisServer::start().await,
        _db: db,
    };
    let mut rows = Vec::new();
    for subject in SMALL {
        let mut rounds = Vec::new();
        for nth in 0..lab.rounds {
            rounds.push(bench.timed(subject, &format!("bulk-{nth}")).await?);
            bench.redis.cli(&["FLUSHALL"]);
        }
        rounds.sort_by_key(|round| round.wall);
        rows.push((
            format!("{BATCH} keys, {}", subject.name),
            BATCH,
            rounds[rounds.len() / 2],
        ));
    }
    for subject in LARGE {
        let round = bench.timed(subject, "bulk-all").await?;
        anyhow::ensure!(
            bench.redis.cli(&["DBSIZE"]).parse::<u64>()? >= ROWS,
            "every row is cached"
        );
        bench.redis.cli(&["FLUSHALL"]);
        rows.push((format!("{ROWS} rows, {}", subject.name), ROWS, round));
    }
    Ok(Section::Table(Table {
        title: "ratios to the first of each kind; CPU of this process".to_owned(),
        columns: vec!["what", "time", "ratio", "rows/s", "CPU/row"],
        rows: shown(&rows),
    }))
}

/// A way to load.
struct Subject {
    name: &'static str,
    run: for<'a> fn(&'a Bench, &'a Way) -> BoxFuture<'a, anyhow::Result<()>>,
}

const SMALL: &[Subject] = &[
    Subject {
        name: "MGET, SELECT = ANY, pipelined SET by hand",
        run: |bench, way| Box::pin(bench.batch_by_hand(way)),
    },
    Subject {
        name: "larder get_many",
        run: |bench, way| Box::pin(bench.batch(way)),
    },
    Subject {
        name: "GET, SELECT, SET by hand, one by one",
        run: |bench, way| Box::pin(bench.single_by_hand(way)),
    },
    Subject {
        name: "larder get, one by one",
        run: |bench, way| Box::pin(bench.single(way)),
    },
];

const LARGE: &[Subject] = &[
    Subject {
        name: "COPY out and pipelined SET by hand",
        run: |bench, way| Box::pin(bench.copy(way)),
    },
    Subject {
        name: "larder warm",
        run: |bench, way| Box::pin(bench.warm(way)),
    },
];

/// What is there before the clock runs: connections, and a name that no other round has.
struct Way {
    name: String,
    redis: MultiplexedConnection,
    cache: Cache<u64, User>,
}

#[derive(Clone, Copy)]
struct Spent {
    wall: Duration,
    cpu: Duration,
}

fn shown(rows: &[(String, u64, Spent)]) -> Vec<Vec<String>> {
    let row = |(what, count, spent): &(String, u64, Spent)| {
        let of_its_kind = rows.iter().find(|(_, other, _)| other == count);
        let yardstick = of_its_kind.map_or(spent.wall, |(_, _, first)| first.wall);
        let seconds = spent.wall.as_secs_f64();
        vec![
            what.clone(),
            format!("{:.1} ms", seconds * 1e3),
            format!("{:.2}", seconds / yardstick.as_secs_f64()),
            format!("{:.0}", *count as f64 / seconds),
            format!("{:.1} µs", spent.cpu.as_secs_f64() * 1e6 / *count as f64),
        ]
    };
    rows.iter().map(row).collect()
}

struct Bench {
    _db: PgServer,
    pool: sqlx::PgPool,
    redis: RedisServer,
}

impl Bench {
    async fn timed(&self, subject: &Subject, name: &str) -> anyhow::Result<Spent> {
        let way = self.way(name).await?;
        let clock = Clock::system();
        let (began, cpu) = (clock.monotonic(), cpu::of_process());
        (subject.run)(self, &way).await?;
        Ok(Spent {
            wall: clock.monotonic() - began,
            cpu: cpu::of_process() - cpu,
        })
    }

    async fn way(&self, name: &str) -> anyhow::Result<Way> {
        let client = redis::Client::open(self.redis.url())?;
        let store = Store::open(&self.redis.url()).await?;
        let table = SqlTable::new(self.pool.clone(), "users");
        table.schema().await?;
        Ok(Way {
            name: name.to_owned(),
            redis: client.get_multiplexed_async_connection().await?,
            cache: Cache::builder(name)
                .store(&store)
                .ttl(TTL)
                .source(table)
                .build()
                .await?,
        })
    }

    async fn batch_by_hand(&self, Way { name, redis, .. }: &Way) -> anyhow::Result<()> {
        let mut redis = redis.clone();
        let keys: Vec<String> = (0..BATCH).map(|id| format!("{name}:{id}")).collect();
        let found: Vec<Option<Vec<u8>>> = redis::cmd("MGET").arg(&keys).query_async(&mut redis).await?;
        let missing: Vec<i64> = (0..)
            .zip(&found)
            .filter(|(_, found)| found.is_none())
            .map(|(id, _)| id)
            .collect();
        let select = sqlx::query("SELECT id, name, email, team FROM users WHERE id = ANY($1)");
        let rows = select.bind(missing).fetch_all(&self.pool).await?;
        let users = rows.iter().map(user).collect::<anyhow::Result<Vec<User>>>()?;
        store(&mut redis, name, &users).await
    }

    async fn batch(&self, Way { cache, .. }: &Way) -> anyhow::Result<()> {
        let keys: Vec<u64> = (0..BATCH).collect();
        anyhow::ensure!(
            cache.get_many(&keys).await.all()?.len() as u64 == BATCH,
            "all are found"
        );
        Ok(())
    }

    async fn single_by_hand(&self, Way { name, redis, .. }: &Way) -> anyhow::Result<()> {
        let mut redis = redis.clone();
        for id in 0..BATCH as i64 {
            let get = redis::cmd("GET").arg(format!("{name}:{id}")).to_owned();
            let found: Option<Vec<u8>> = get.query_async(&mut redis).await?;
            anyhow::ensure!(found.is_none(), "every read is a miss");
            let select = sqlx::query("SELECT id, name, email, team FROM users WHERE id = $1");
            let row = select.bind(id).fetch_one(&self.pool).await?;
            store(&mut redis, name, &[user(&row)?]).await?;
        }
        Ok(())
    }

    async fn single(&self, Way { cache, .. }: &Way) -> anyhow::Result<()> {
        for id in 0..BATCH {
            anyhow::ensure!(cache.get(&id).await?.is_some(), "all are found");
        }
        Ok(())
    }

    async fn copy(&self, Way { name, redis, .. }: &Way) -> anyhow::Result<()> {
        let mut redis = redis.clone();
        let mut copied = self.pool.copy_out_raw("COPY users TO STDOUT").await?;
        let (mut text, mut users) = (Vec::new(), Vec::with_capacity(PIPELINE));
        while let Some(part) = copied.next().await {
            text.extend_from_slice(&part?);
            let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
            for line in std::str::from_utf8(&text[..whole])?.lines() {
                users.push(parsed(line)?);
                if users.len() == PIPELINE {
                    store(&mut redis, name, &users).await?;
                    users.clear();
                }
            }
            text.drain(..whole);
        }
        store(&mut redis, name, &users).await
    }

    async fn warm(&self, Way { cache, .. }: &Way) -> anyhow::Result<()> {
        let progress = cache.warm(stream::iter(0..ROWS)).await?;
        anyhow::ensure!(progress.cached == ROWS, "{progress:?}");
        Ok(())
    }
}

async fn store(redis: &mut MultiplexedConnection, name: &str, users: &[User]) -> anyhow::Result<()> {
    if users.is_empty() {
        return Ok(());
    }
    let mut pipeline = redis::pipe();
    for user in users {
        let set = pipeline
            .cmd("SET")
            .arg(format!("{name}:{}", user.id))
            .arg(serde_json::to_vec(user)?);
        set.arg("EX").arg(TTL.as_secs()).ignore();
    }
    Ok(pipeline.query_async(redis).await?)
}

fn user(row: &sqlx::postgres::PgRow) -> anyhow::Result<User> {
    Ok(User {
        id: row.try_get::<i64, _>(0)? as u64,
        name: row.try_get(1)?,
        email: row.try_get(2)?,
        team: row.try_get::<i32, _>(3)? as u32,
    })
}

/// A line of `COPY`'s text; no value here has characters that it escapes.
fn parsed(line: &str) -> anyhow::Result<User> {
    let mut columns = line.split('\t');
    let mut next = || {
        columns
            .next()
            .ok_or_else(|| anyhow::anyhow!("a column less than expected"))
    };
    Ok(User {
        id: next()?.parse()?,
        name: next()?.to_owned(),
        email: next()?.to_owned(),
        team: next()?.parse()?,
    })
}
