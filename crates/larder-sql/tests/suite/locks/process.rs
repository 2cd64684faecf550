//! The processes that take locks and work under them, until they are killed.

use std::{sync::Arc, time::Duration};

use larder_base::{Clock, Random};
use larder_kit::lock::{Guard, Lock, StoreLock};
use larder_sql::{PgLock, SqlError};
use larder_store::Store;
use larder_testkit::{
    eventually,
    history::{Held, Moment},
    naive::SetNxLock,
    worker,
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::work::Work;

/// The test that a process runs.
pub(super) const ENTRY: &str = "locks::process::locking_process";

/// Holders at a time in a process.
const LANES: u64 = 8;

/// Keys that are locked: many enough that most are free, and few enough that one is soon taken again.
pub(super) const KEYS: u64 = 128;

/// How long a lock lasts that is not renewed.
pub(super) const TTL: Duration = Duration::from_millis(400);

/// Between attempts while the store is away.
const PAUSE: Duration = Duration::from_millis(20);

/// Which lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum How {
    Larder,
    /// Larder's, in the database.
    Postgres,
    /// Larder's, by those who write as if a lock were enough.
    Unfenced,
    /// `SET NX PX` and `DEL`.
    SetNx,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) how: How,
    pub(super) store: String,
    pub(super) database: String,
    pub(super) seed: u64,
}

/// What became of the work under a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Did {
    /// It was done.
    Wrote,
    /// The database turned it away.
    Fenced,
    /// The guard knew that it was lost.
    Lost,
    /// The database failed.
    Failed,
}

/// What a process reports.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum Said {
    /// It was granted, and is certainly held until then.
    Granted {
        key: u64,
        fence: u64,
        asked: Moment,
        granted: Moment,
        until: Moment,
    },
    /// It is about to be given back, or was lost. It was held until then.
    Ended {
        key: u64,
        granted: Moment,
        until: Moment,
        did: Did,
    },
}

#[test]
fn locking_process() {
    let Some(job) = worker::job::<Job>() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime can be built").block_on(job.run());
}

/// A server that was killed may be starting again.
pub(super) async fn open(url: &str) -> Store {
    let store = Store::lazy(url).expect("the URL is one");
    eventually(Duration::from_secs(60), async || store.ping().await.is_ok()).await;
    store
}

pub(super) fn larder(store: &Store, ttl: Duration) -> StoreLock {
    let built = StoreLock::builder("locks").store(store).ttl(ttl).build();
    built.expect("the settings are right")
}

fn postgres(work: &Work) -> PgLock {
    let built = PgLock::builder("locks")
        .pool(&work.pool)
        .ttl(TTL)
        .held(LANES as u32)
        .build();
    built.expect("the settings are right")
}

#[derive(Clone)]
enum AnyLock {
    Fenced(Arc<dyn Lock<u64>>),
    Trusted(SetNxLock<Store>),
}

pub(super) fn now() -> Moment {
    Clock::system().monotonic().as_nanos() as Moment
}

impl Job {
    /// Until it is killed.
    async fn run(self) {
        let work = Work::open(&self.database).await;
        let lock = match self.how {
            How::Larder | How::Unfenced => AnyLock::Fenced(Arc::new(larder(&open(&self.store).await, TTL))),
            How::Postgres => AnyLock::Fenced(Arc::new(postgres(&work))),
            How::SetNx => AnyLock::Trusted(SetNxLock::new(open(&self.store).await, TTL)),
        };
        worker::ready();
        let lane = |lane: u64| {
            let (lock, work, how) = (lock.clone(), work.clone(), self.how);
            let random = Random::seeded(self.seed * LANES + lane);
            async move {
                match lock {
                    AnyLock::Fenced(lock) => fenced(&*lock, how, work, random).await,
                    AnyLock::Trusted(lock) => trusting(lock, work, random).await,
                }
            }
        };
        let mut lanes: JoinSet<()> = (0..LANES).map(lane).collect();
        while let Some(ended) = lanes.join_next().await {
            ended.expect("no lane panics");
        }
    }
}

/// Works under Larder's lock.
async fn fenced(lock: &dyn Lock<u64>, how: How, work: Work, random: Random) {
    loop {
        let (key, asked) = (random.below(KEYS), now());
        let guard = match lock.try_acquire(&key).await {
            Ok(Some(guard)) => guard,
            Ok(None) => continue,
            Err(_down) => {
                Clock::system().sleep(PAUSE).await;
                continue;
            }
        };
        let granted = now();
        let fence = guard.fence().expect("an exclusive lock has one").get();
        let mut until = held_until(&guard).unwrap_or(granted);
        worker::report(&Said::Granted {
            key,
            fence,
            asked,
            granted,
            until,
        });
        let did = match how {
            How::Unfenced => {
                work.add(key, fence, &random).await;
                Did::Wrote
            }
            _ => did(&work.add_fenced(key, &guard, &random).await),
        };
        if guard.check().is_ok() {
            until = now();
        }
        worker::report(&Said::Ended {
            key,
            granted,
            until,
            did,
        });
        // What is not given back runs out.
        let _ = guard.release().await;
    }
}

fn did(worked: &Result<(), SqlError>) -> Did {
    match worked {
        Ok(()) => Did::Wrote,
        Err(SqlError::Fenced { .. }) => Did::Fenced,
        Err(SqlError::LockLost { .. }) => Did::Lost,
        Err(_) => Did::Failed,
    }
}

/// Until when it is certainly held, by what is known now.
fn held_until(guard: &Guard) -> Option<Moment> {
    let (now, remaining) = (now(), guard.remaining());
    (!remaining.is_zero()).then(|| now + remaining.as_nanos() as Moment)
}

/// Works under a lock that nobody tells it to have lost.
async fn trusting(lock: SetNxLock<Store>, work: Work, random: Random) {
    loop {
        let (key, asked) = (random.below(KEYS), now());
        let name = key.to_string();
        match lock.try_acquire(&name).await {
            Ok(true) => {}
            Ok(false) => continue,
            Err(_down) => {
                Clock::system().sleep(PAUSE).await;
                continue;
            }
        }
        let (granted, fence) = (now(), Held::NO_FENCE);
        worker::report(&Said::Granted {
            key,
            fence,
            asked,
            granted,
            until: granted,
        });
        work.add(key, fence, &random).await;
        worker::report(&Said::Ended {
            key,
            granted,
            until: now(),
            did: Did::Wrote,
        });
        // What is not given back runs out.
        let _ = lock.release(&name).await;
    }
}
