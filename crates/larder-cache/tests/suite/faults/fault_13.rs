//! 13: a reader's process is stopped while others write, and goes on: the first thing that it reads must not be old.

use std::time::Duration;

use larder_base::Clock;
use larder_cache::{Cache, Coherence, Tier};
use larder_store::Store;
use larder_testkit::{
    Kind, eventually,
    history::{Event, Moment, Read, Recorder, Served},
    naive::{HandWritten as _, Timed},
    worker::{self, Worker},
};
use redis::AsyncCommands as _;
use serde::{Deserialize, Serialize};

use super::{
    row::{Baseline, Turn, Verdict, row},
    stage::{BOUND, Larder, NAMESPACE, Process, SOON, Stage, near_bound, passes},
};

const KEYS: u64 = 5;

/// Set in the store when the reader shall end.
const OVER: &str = "over";

/// How long the reader stands still, by its bound as the row has it: 3 s to 1 s.
const STOPPED: Duration = BOUND.saturating_mul(3);

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Kept {
    /// In a map whose copies live for [`BOUND`], by a count that the process moves on.
    ByHand,
    /// By Larder, while the server's pushes vouch for it.
    Tracked,
    /// By Larder, while the log of invalidations vouches for it.
    Logged,
    /// By Larder, for [`BOUND`].
    Timed,
}

#[derive(Serialize, Deserialize)]
struct Job {
    url: String,
    kept: Kept,
}

/// What the reader says.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Said {
    HasCopies,
    Saw(Vec<Look>),
}

/// One read: when, what, and whether the near tier may have answered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Look {
    key: u64,
    start: Moment,
    end: Moment,
    version: u64,
    near: bool,
}

impl Look {
    fn event(self) -> Event {
        Event::Read(Read {
            process: 0,
            key: self.key,
            start: self.start,
            end: self.end,
            version: self.version,
            served: if self.near { Served::Near } else { Served::Store },
            overdue: 0,
        })
    }
}

#[test]
fn fault_13() {
    row(13, &[Baseline::Naive], &[Kind::Redis], async |turn| {
        let kept = match turn.baseline {
            Baseline::Larder => Kept::Tracked,
            _ => Kept::ByHand,
        };
        stopped_reader(turn, kept).await
    });
}

#[test]
fn fault_13_by_log() {
    row(13, &[], &[Kind::Redis], async |turn| {
        stopped_reader(turn, Kept::Logged).await
    });
}

#[test]
fn fault_13_with_copies_bounded_by_time() {
    row(13, &[], &[Kind::Redis], async |turn| {
        stopped_reader(turn, Kept::Timed).await
    });
}

async fn stopped_reader(turn: Turn, kept: Kept) -> Verdict {
    let t = turn.topology().await;
    let mut store = t.store().await;
    let stage = Stage::new(t.clock(), &turn.random, near_bound());
    let writer = Process::new(turn.baseline, 1, &t.another_store().await).await;
    let job = Job {
        url: t.redis().expect("this kind").url(),
        kept,
    };
    let mut reader = Worker::start("faults::fault_13::reader", &job);
    reader.go();
    assert_eq!(reader.next_record(), Some(Said::HasCopies));

    reader.pause();
    for key in 0..KEYS {
        // The row itself is in the store too: it is what both processes can see.
        let version = stage.rows().version(key) + 1;
        store
            .set::<_, _, ()>(row_of(key), version)
            .await
            .expect("the store is up");
        assert!(stage.write(&writer, key).await, "the store is up");
    }
    passes(&t, STOPPED).await;
    reader.resume();
    passes(&t, BOUND).await;
    store.set::<_, _, ()>(OVER, 1).await.expect("the store is up");
    let said = tokio::task::spawn_blocking(|| reader.finish()).await.expect("no panic");
    let [Said::Saw(looks)] = said.as_slice() else {
        panic!("{said:?}")
    };
    for look in looks {
        stage.rows().recorder().note(look.event());
    }
    stage.verdict()
}

fn row_of(key: u64) -> String {
    format!("row:{key}")
}

async fn load(mut store: Store, key: u64) -> u64 {
    let version: Option<u64> = store.get(row_of(key)).await.expect("the server is up");
    version.unwrap_or(0)
}

/// The reader's program: reads all keys again and again, and says what it saw.
#[test]
fn reader() {
    let Some(job) = worker::job::<Job>() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime can be built").block_on(async {
        let store = Store::open(&job.url).await.expect("the server is up");
        let copies = Copies::new(job.kept, &store).await;
        let recorder = Recorder::new();
        worker::ready();
        for key in 0..KEYS {
            eventually(SOON, async || copies.read(&store, key).await.1).await;
        }
        worker::report(&Said::HasCopies);
        let over = tokio::spawn(eventually(SOON * 3, {
            let store = store.clone();
            async move || store.clone().exists(OVER).await.expect("the server is up")
        }));
        let mut looks = Vec::new();
        while !over.is_finished() {
            for key in 0..KEYS {
                let start = recorder.now();
                let (version, near) = copies.read(&store, key).await;
                let end = recorder.now();
                looks.push(Look {
                    key,
                    start,
                    end,
                    version,
                    near,
                });
            }
            Clock::system().sleep(Duration::from_millis(1)).await;
        }
        over.await.expect("it is over in time");
        worker::report(&Said::Saw(looks));
    });
}

enum Copies {
    ByHand(Timed),
    Larder(Larder),
}

impl Copies {
    async fn new(kept: Kept, store: &Store) -> Self {
        let coherence = match kept {
            Kept::ByHand => return Self::ByHand(Timed::new(store.clone(), BOUND, Clock::system())),
            Kept::Tracked => Coherence::Tracking,
            Kept::Logged => Coherence::Log,
            Kept::Timed => Coherence::TtlOnly { max_staleness: BOUND },
        };
        let builder = Cache::builder(NAMESPACE)
            .store(store)
            .near(100)
            .max_staleness(BOUND)
            .coherence(coherence)
            .ttl(Duration::from_secs(60));
        Self::Larder(builder.build().await.expect("the settings agree"))
    }

    /// The version, and whether the near tier may have answered.
    async fn read(&self, store: &Store, key: u64) -> (u64, bool) {
        match self {
            Self::ByHand(copies) => {
                let name = format!("{NAMESPACE}:{key}");
                let load = || -> futures_util::future::BoxFuture<'_, u64> { Box::pin(load(store.clone(), key)) };
                let version = copies.read(&name, Box::new(load)).await;
                (version.expect("the server is up"), true)
            }
            Self::Larder(cache) => {
                let load = || async { Ok::<_, std::convert::Infallible>(load(store.clone(), key).await) };
                let found = cache.lookup_or_load(&key, load).await.expect("the server is up");
                let version = **found.value().expect("every row has a version");
                (version, found.tier() == Tier::Near)
            }
        }
    }
}
