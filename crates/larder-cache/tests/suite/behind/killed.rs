//! Writers, flushers and the store itself killed with -9, again and again: every accepted write is in the database in the end,
//! and none went backwards (C11, C12). Beside it a queue that is popped, which loses what it had taken.
//!
//! The store is a redis-server that syncs its log before it answers; the database is another one, which is never killed and
//! takes a batch in one guarded step.

use std::{collections::BTreeMap, io, time::Duration};

use larder_base::Clock;
use larder_cache::{Ack, BoxError, Cache, Change, SharedSink, Sink, SinkError, Source, WriteBehind, WritePolicy};
use larder_store::Store;
use larder_testkit::{
    RedisServer, eventually,
    worker::{self, Worker},
};
use redis::AsyncCommands as _;
use serde::{Deserialize, Serialize};

use super::naive::{NaiveBehind, Queue};

const ENTRY: &str = "behind::killed::writing_worker";
const WORKERS: u64 = 2;
const KEYS: u64 = 20;
const KILLS: u64 = 25;
/// Writes between two kills.
const WRITES: usize = 120;
/// How long a commit takes: long enough that most kills meet one.
const COMMIT: Duration = Duration::from_millis(15);

/// A database over a redis-server: rows with versions, and the history of each.
#[derive(Clone, Debug)]
struct Database(Store);

/// `rows`, a hash of `epoch seq value`; `history:<key>`, a list of versions. Only what is newer takes effect.
const APPLY: &str = r"
for i = 1, #ARGV, 4 do
  local key, epoch, seq, value = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), ARGV[i + 3]
  local row = redis.call('HGET', 'rows', key)
  local e, s = 0, 0
  if row then e, s = string.match(row, '^(%d+) (%d+)') end
  e, s = tonumber(e), tonumber(s)
  if e < epoch or (e == epoch and s < seq) then
    redis.call('HSET', 'rows', key, ARGV[i + 1] .. ' ' .. ARGV[i + 2] .. ' ' .. value)
    redis.call('RPUSH', 'history:' .. key, ARGV[i + 1] .. ' ' .. ARGV[i + 2])
  end
end";

impl Database {
    async fn open(url: &str) -> Self {
        Self(Store::open(url).await.unwrap())
    }

    async fn row(&self, key: u64) -> Option<u64> {
        let row: Option<String> = self.0.clone().hget("rows", key).await.unwrap();
        row?.split(' ').nth(2)?.parse().ok()
    }

    async fn history(&self, key: u64) -> Vec<(u64, u64)> {
        let lines: Vec<String> = self.0.clone().lrange(format!("history:{key}"), 0, -1).await.unwrap();
        let parse = |line: &String| {
            let (epoch, seq) = line.split_once(' ').unwrap();
            (epoch.parse().unwrap(), seq.parse().unwrap())
        };
        lines.iter().map(parse).collect()
    }
}

impl Source<u64, u64> for Database {
    async fn load(&self, key: &u64) -> Result<Option<u64>, BoxError> {
        Ok(self.row(*key).await)
    }

    fn sink(&self) -> Option<SharedSink<u64, u64>> {
        Some(SharedSink::new(self.clone()))
    }
}

impl Sink<u64, u64> for Database {
    async fn put(&self, _: &u64, _: &u64) -> Result<(), SinkError> {
        Err(SinkError::unsupported("takes versioned changes alone"))
    }

    async fn remove(&self, _: &u64) -> Result<bool, SinkError> {
        Err(SinkError::unsupported("takes versioned changes alone"))
    }

    async fn claim_epoch(&self, _: &str) -> Result<u64, SinkError> {
        self.0.clone().incr("epoch", 1).await.map_err(SinkError::in_doubt)
    }

    async fn apply(&self, _: &str, changes: &[Change<u64, u64>]) -> Result<(), SinkError> {
        let mut eval = redis::cmd("EVAL");
        eval.arg(APPLY).arg(0);
        for change in changes {
            eval.arg(change.key).arg(change.version.epoch).arg(change.version.seq);
            eval.arg(change.value.unwrap_or_default());
        }
        Clock::system().sleep(COMMIT).await;
        let applied = self.0.run(&eval).await;
        applied
            .map(drop)
            .map_err(|error| SinkError::in_doubt(io::Error::other(error.to_string())))
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    store: String,
    database: String,
    first_key: u64,
    /// Its values begin here.
    from: u64,
    is_larder: bool,
}

/// A key and the value that was accepted of it.
type Accepted = (u64, u64);

async fn cache(store: &Store, database: Database) -> Cache<u64, u64> {
    let policy = WriteBehind::new(Ack::Fsync)
        .delay(Duration::from_millis(5))
        .visibility(Duration::from_millis(500));
    let builder = Cache::builder("killed")
        .store(store)
        .ttl(Duration::from_secs(600))
        .source(database);
    builder.write(WritePolicy::Behind(policy)).build().await.unwrap()
}

#[test]
fn writing_worker() {
    let Some(job) = worker::job::<Job>() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (store, database) = (Store::lazy(&job.store).unwrap(), Database::open(&job.database).await);
        // The store may be on its way up.
        eventually(Duration::from_secs(20), async || store.ping().await.is_ok()).await;
        if job.is_larder {
            let cache = cache(&store, database.clone()).await;
            worker::ready();
            write(&job, async |key, value| cache.put(&key, value).await.is_ok()).await;
        }
        let naive = NaiveBehind::new(store, database, Queue::Popped);
        let flusher = naive.clone();
        let flushing = tokio::spawn(async move {
            loop {
                if flusher.flush_once().await == 0 {
                    Clock::system().sleep(Duration::from_millis(2)).await;
                }
            }
        });
        worker::ready();
        write(&job, async |key, value| naive.put(key, value).await).await;
        flushing.await.unwrap();
    });
}

/// Until it is killed.
async fn write(job: &Job, put: impl AsyncFn(u64, u64) -> bool) {
    for value in job.from.. {
        for key in job.first_key..job.first_key + KEYS {
            if put(key, value).await {
                worker::report::<Accepted>(&(key, value));
            }
        }
    }
}

/// Accepted writes, lost ones, and keys that went backwards.
#[derive(Debug)]
struct Outcome {
    accepted: usize,
    lost: usize,
    misordered: usize,
}

struct Battle {
    server: RedisServer,
    database: RedisServer,
    is_larder: bool,
    last: BTreeMap<u64, u64>,
    accepted: usize,
}

impl Battle {
    async fn new(is_larder: bool) -> Self {
        Self {
            server: RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).await,
            database: RedisServer::start().await,
            is_larder,
            last: BTreeMap::new(),
            accepted: 0,
        }
    }

    fn recruit(&self, index: u64, from: u64) -> Worker {
        let job = Job {
            store: self.server.url(),
            database: self.database.url(),
            first_key: index * KEYS,
            from,
            is_larder: self.is_larder,
        };
        let mut worker = Worker::start(ENTRY, &job);
        worker.go();
        worker
    }

    fn note(&mut self, (key, value): Accepted) {
        self.accepted += 1;
        let last = self.last.entry(key).or_default();
        *last = value.max(*last);
    }

    /// Lets the workers write a while.
    fn listen(&mut self, workers: &mut [Worker]) {
        let upto = self.accepted + WRITES;
        while self.accepted < upto {
            for worker in &mut *workers {
                if let Some(accepted) = worker.next_within::<Accepted>(Duration::from_millis(100)) {
                    self.note(accepted);
                }
            }
        }
    }

    fn kill(&mut self, mut worker: Worker) {
        worker.kill();
        while let Some(accepted) = worker.next_record::<Accepted>() {
            self.note(accepted);
        }
    }

    async fn fight(mut self) -> Outcome {
        let mut workers: Vec<Worker> = (0..WORKERS).map(|index| self.recruit(index, 1)).collect();
        for kill in 1..=KILLS {
            self.listen(&mut workers);
            // A list that is popped need not be on a disk to lose what was taken: its store is spared.
            if kill % 5 == 0 && self.is_larder {
                self.server.restart_from_save().await;
                continue;
            }
            let index = (kill % WORKERS) as usize;
            let victim = workers.remove(index);
            self.kill(victim);
            workers.insert(index, self.recruit(index as u64, kill * 1_000_000));
        }
        self.listen(&mut workers);
        workers.into_iter().for_each(|worker| self.kill(worker));
        self.count().await
    }

    /// Finishes what is left, and looks at the database.
    async fn count(self) -> Outcome {
        let (store, database) = (
            Store::open(&self.server.url()).await.unwrap(),
            Database::open(&self.database.url()).await,
        );
        let naive = NaiveBehind::new(store.clone(), database.clone(), Queue::Popped);
        naive.flush_all().await;
        let cache = cache(&store, database.clone()).await;
        eventually(Duration::from_secs(30), async || {
            cache.lag().await.is_ok_and(|lag| lag.entries == 0)
        })
        .await;
        assert!(cache.dead_letters().await.unwrap().is_empty());
        let (mut lost, mut misordered) = (0, 0);
        for (key, last) in &self.last {
            // Of a key's values, which grow, one that was under way may have come after the last accepted one.
            lost += usize::from(database.row(*key).await.is_none_or(|row| row < *last));
            misordered += usize::from(database.history(*key).await.windows(2).any(|pair| pair[0] >= pair[1]));
        }
        Outcome {
            accepted: self.accepted,
            lost,
            misordered,
        }
    }
}

fn fight(is_larder: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { Battle::new(is_larder).await.fight().await })
}

#[test]
fn nothing_accepted_is_lost_when_writers_flushers_and_the_store_are_killed() {
    let _turn = crate::processes::TURN.lock();
    let outcome = fight(true);
    println!("{KILLS} kills: {outcome:?}");
    assert!(outcome.accepted >= (KILLS as usize) * WRITES);
    assert_eq!((outcome.lost, outcome.misordered), (0, 0), "{outcome:?}");
}

#[test]
fn a_popped_queue_loses_what_its_flusher_had_taken() {
    let _turn = crate::processes::TURN.lock();
    let outcome = fight(false);
    println!("{KILLS} kills of a popped queue: {outcome:?}");
    assert!(outcome.lost > 0, "{outcome:?}");
}
