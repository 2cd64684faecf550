//! Behind: a write is accepted by the store, and the database has it a moment later. Whoever carries it there may be killed
//! on the way: here a `larder worker`, with `kill -9`, again and again. Beside it what is written by hand: a queue in memory,
//! and a queue in the store from which writes are popped before the database has them.

use std::{ops::Range, process::Stdio, time::Duration};

use anyhow::Context as _;
use larder::{Ack, Cache, Sink as _, SqlTable, Store, WriteBehind, WritePolicy, redis};
use larder_testkit::{LarderServer, OwnFolder, OwnedChild};
use serde_json::json;

use super::{Playing, Scene};
use crate::{
    cmd::demo::{report::Report, stage::Stage, users::Row},
    failure::{Failure, Outcome},
};

pub(super) const SCENE: Scene = Scene {
    name: "behind",
    shows: "writes behind the cache, by flushers that are killed on the way",
    run: |stage| -> Playing<'_> { Box::pin(play(stage)) },
};

/// How often a flusher is killed.
const KILLS: u64 = 3;

/// Writes round each kill.
const BURST: u64 = 100;

/// Writes that a flusher commits at a time.
const BATCH: usize = 20;

/// How long what a killed flusher took is left to it: others wait so long for it to come back.
const VISIBILITY: Duration = Duration::from_secs(1);

/// The tables of this scene, beside the key.
const COLUMNS: &str = "visits BIGINT NOT NULL";

/// Every key that is written, each once.
const ALL: Range<u64> = 0..KILLS * BURST;

/// By when a flusher has moved, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

const LOOK_EVERY: Duration = Duration::from_millis(5);

async fn play(stage: &Stage) -> Outcome<Report> {
    let server = Server::of(stage).await?;
    let larder = Behind::begin(stage, &server).await?;
    let (played, took) = stage.timed(larder.play()).await;
    let (lost, waiting) = played?;
    let lost_popped = popped_first(stage).await?;
    let lost_queued = queue_in_memory(stage).await?;

    let mut report = Report::default();
    report.count("writes_accepted", KILLS * BURST);
    report.text("accepted_by", server.says);
    report.text("database", stage.users.product());
    report.count("flushers_killed", KILLS);
    report.count("writes_waiting_at_the_kills", waiting);
    report.count("lost_writes", lost);
    report.count("lost_writes_popped_first", lost_popped);
    report.count("lost_writes_queue_in_memory", lost_queued);
    report.span("all_in_the_database_after", took);
    report.claim(
        lost == 0,
        format_args!("what was accepted reaches the database, whoever dies: {lost} lost"),
    );
    report.lesson(
        "what waits stays in the store until the database has it: a flusher owns nothing, and another one goes on",
    );
    Ok(report)
}

/// The store that flushers of other processes reach.
struct Server {
    url: String,
    ack: Ack,
    says: &'static str,
    /// Its folder and the process, where it is the demo's own.
    _own: Option<(LarderServer, OwnFolder)>,
}

impl Server {
    /// The store of the tour or, where that is in this process, a `larder serve` that syncs its log before each answer.
    async fn of(stage: &Stage) -> Outcome<Self> {
        if !stage.store.is_embedded() {
            return Ok(Self {
                url: stage.store_url.clone(),
                ack: Ack::Memory,
                says: "the server of --store, in memory",
                _own: None,
            });
        }
        let folder = OwnFolder::new()?;
        let path = folder
            .path()
            .to_str()
            .context("the folder for temporary files has a name that is no text")?
            .to_owned();
        let program = std::env::current_exe()?;
        let options = ["--dir", &path, "--appendfsync", "always"];
        let started = LarderServer::start_program(&program, &options);
        Ok(Self {
            url: started.url(),
            ack: Ack::Fsync,
            says: "a larder serve of its own, on disk",
            _own: Some((started, folder)),
        })
    }
}

/// The writer, and the flushers that are killed.
struct Behind<'a> {
    stage: &'a Stage,
    cache: Cache<u64, Row>,
    table: SqlTable,
    store: String,
}

impl<'a> Behind<'a> {
    const TABLE: &'static str = "visits";

    async fn begin(stage: &'a Stage, server: &Server) -> Outcome<Self> {
        let table = stage.users.create_table(Self::TABLE, COLUMNS).await?;
        let namespace = stage.namespace("behind");
        table.prepare().namespace(&namespace).apply().await?;
        // The writer is this process; flushing is left to those who are killed.
        let behind = WriteBehind::new(server.ack).delay(Duration::ZERO).flushes(false);
        let cache = Cache::builder(namespace)
            .store(&Store::open(&server.url).await?)
            .ttl(Duration::from_secs(60))
            .source(table.clone())
            .write(WritePolicy::Behind(behind))
            .build()
            .await?;
        let store = server.url.clone();
        Ok(Self {
            stage,
            cache,
            table,
            store,
        })
    }

    /// Writes, while flushers begin and are killed: how many writes the database lacks at the end, and how many waited when
    /// flushers were killed.
    async fn play(&self) -> Outcome<(u64, u64)> {
        let mut waiting = 0;
        let mut worker = self.worker()?;
        for kill in 0..KILLS {
            let (begun, middle) = (kill * BURST, kill * BURST + BURST / 2);
            self.write(begun..middle).await?;
            // It has begun, and is killed at its work.
            self.until(&mut worker, async || {
                Ok(missing(&self.table, begun..middle).await? < BURST / 2)
            })
            .await?;
            self.write(middle..begun + BURST).await?;
            waiting += self.cache.lag().await?.entries;
            worker.kill();
            worker = self.worker()?;
        }
        self.until(&mut worker, async || Ok(self.cache.lag().await?.entries == 0))
            .await?;
        Ok((missing(&self.table, ALL).await?, waiting))
    }

    async fn write(&self, ids: Range<u64>) -> Outcome {
        for id in ids {
            self.cache.put(&id, visits(id)).await?;
        }
        Ok(())
    }

    /// A flusher: this program, as a process of its own.
    fn worker(&self) -> Outcome<OwnedChild> {
        let (db, table) = self.stage.users.address_of(Self::TABLE);
        let mut command = std::process::Command::new(std::env::current_exe()?);
        command
            .args(["worker", "--namespace", self.cache.namespace(), "--table", &table])
            .args(["--batch", &BATCH.to_string(), "--concurrency", "1"])
            .args(["--visibility", &format!("{}ms", VISIBILITY.as_millis())])
            // Not as arguments, which others can see: there may be passwords in them.
            .env("LARDER_STORE", &self.store)
            .env("LARDER_DB", db)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(OwnedChild::spawn(command)?)
    }

    async fn until(&self, worker: &mut OwnedChild, done: impl AsyncFn() -> Outcome<bool>) -> Outcome {
        let clock = &self.stage.clock;
        let until = clock.monotonic() + PATIENCE;
        while !done().await? {
            if let Some(status) = worker.ended() {
                return Err(Failure::new(format_args!("the worker ended by itself: {status}")));
            }
            if clock.monotonic() > until {
                return Err(Failure::new(format_args!(
                    "the worker was not done within {PATIENCE:?}"
                )));
            }
            clock.sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

/// By hand: `RPUSH`, and a flusher that pops writes and then commits them. How many the database lacks at the end.
async fn popped_first(stage: &Stage) -> Outcome<u64> {
    let table = stage.users.create_table("visits_popped", COLUMNS).await?;
    let (mut store, queue) = (stage.store.clone(), stage.namespace("behind-queue"));
    for kill in 0..KILLS {
        for id in kill * BURST..(kill + 1) * BURST {
            redis::cmd("RPUSH").arg(&queue).arg(id).exec_async(&mut store).await?;
        }
        commit(&table, &pop(&mut store, &queue).await?).await?;
        // Killed where it may be at any time: a batch is popped, and not committed.
        drop(pop(&mut store, &queue).await?);
    }
    loop {
        match pop(&mut store, &queue).await? {
            batch if batch.is_empty() => return missing(&table, ALL).await,
            batch => commit(&table, &batch).await?,
        }
    }
}

async fn pop(store: &mut Store, queue: &str) -> Outcome<Vec<u64>> {
    let popped: Option<Vec<u64>> = redis::cmd("LPOP").arg(queue).arg(BATCH).query_async(store).await?;
    Ok(popped.unwrap_or_default())
}

/// By hand: a queue in the memory of the service, which is killed with its flusher. How many the database lacks at the end.
async fn queue_in_memory(stage: &Stage) -> Outcome<u64> {
    let table = stage.users.create_table("visits_queued", COLUMNS).await?;
    for kill in 0..KILLS {
        let mut queue: Vec<u64> = (kill * BURST..(kill + 1) * BURST).collect();
        let rest = queue.split_off(BATCH);
        commit(&table, &queue).await?;
        // Killed: what was queued is gone with it.
        drop(rest);
    }
    missing(&table, ALL).await
}

async fn commit(table: &SqlTable, ids: &[u64]) -> Outcome {
    let rows: Vec<(u64, Row)> = ids.iter().map(|id| (*id, visits(*id))).collect();
    Ok(table.put_many(&rows).await?)
}

/// What is written to the key `id`.
fn visits(id: u64) -> Row {
    Row::from_iter([("visits".to_owned(), json!(id + 1))])
}

/// How many of these keys do not have in the database what was written to them.
async fn missing(table: &SqlTable, ids: Range<u64>) -> Outcome<u64> {
    let ids: Vec<u64> = ids.collect();
    let rows = table.rows::<u64, Row>(&ids).await?;
    let right = rows
        .iter()
        .filter(|(id, row)| row.get("visits") == visits(*id).get("visits"));
    Ok((ids.len() - right.count()) as u64)
}
