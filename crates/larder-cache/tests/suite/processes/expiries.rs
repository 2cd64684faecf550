//! Exactly one load an expiry, however many processes and tasks wait for it; and when the waiters have their answer.
//!
//! The ordinary run is small. `LARDER_STAMPEDE=8x64x200` sets processes, tasks and expiries; with `--nocapture` the figures
//! are printed. They are not asserted: what they are depends on who else uses the machine.

use std::time::Duration;

use larder_base::Clock;
use larder_cache::Cache;
use larder_store::Store;
use larder_testkit::worker::{self, Worker};
use redis::AsyncCommands as _;
use serde::{Deserialize, Serialize};

use super::{Server, TURN};

/// The variable that sets the size.
const SIZE_VARIABLE: &str = "LARDER_STAMPEDE";

/// The test that is a worker's whole program.
const ENTRY: &str = "processes::expiries::expiring_worker";

/// Counts the loads of all processes.
const LOADS: &str = "expiries:loads";

/// How long a load takes.
const LOAD: Duration = Duration::from_millis(10);

/// From one expiry to the next: enough for a busy machine to be through with the one before.
const PERIOD: Duration = Duration::from_millis(60);

/// For all processes to start.
const HEAD_START: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Size {
    processes: usize,
    tasks: usize,
    expiries: u64,
}

impl Size {
    /// As asked for, or small.
    fn chosen() -> Self {
        let asked = std::env::var(SIZE_VARIABLE).ok();
        let numbers: Option<Vec<usize>> = asked.map(|size| {
            let number = |part: &str| part.parse().expect("three numbers, as in 8x64x200");
            size.split('x').map(number).collect()
        });
        match numbers.as_deref() {
            None => Self {
                processes: 8,
                tasks: 16,
                expiries: 20,
            },
            Some(&[processes, tasks, expiries]) => Self {
                processes,
                tasks,
                expiries: expiries as u64,
            },
            Some(_) => panic!("{SIZE_VARIABLE} takes three numbers, as in 8x64x200"),
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    url: String,
    size: Size,
    /// When the first expiry is, on the clock that all processes of the machine share.
    begins: Duration,
}

/// When the tasks of one process had their answers to one expiry.
#[derive(Debug, Serialize, Deserialize)]
struct Round {
    expiry: u64,
    /// The answer of the task that loaded, if it was of this process.
    leader: Option<Duration>,
    waiters: Vec<Duration>,
    failures: usize,
}

#[test]
fn expiring_worker() {
    let Some(job) = worker::job::<Job>() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime can be built").block_on(expire(job));
}

async fn expire(job: Job) {
    let store = Store::open(&job.url).await.expect("the server is up");
    let builder = Cache::builder("expiries").store(&store).ttl(Duration::from_secs(600));
    let cache: Cache<u64, u64> = builder.build().await.expect("the settings agree");
    worker::ready();
    for expiry in 0..job.size.expiries {
        let starts = job.begins + PERIOD * expiry as u32;
        let tasks: Vec<_> = (0..job.size.tasks)
            .map(|_| tokio::spawn(ask(cache.clone(), store.clone(), expiry, starts)))
            .collect();
        let mut round = Round {
            expiry,
            leader: None,
            waiters: Vec::with_capacity(tasks.len()),
            failures: 0,
        };
        for task in tasks {
            match task.await.expect("a task does not panic") {
                (ended, Some(true)) => round.leader = Some(ended),
                (ended, Some(false)) => round.waiters.push(ended),
                (_, None) => round.failures += 1,
            }
        }
        worker::report(&round);
    }
}

/// When the answer came, and whether this task loaded it; `None` if it failed.
async fn ask(cache: Cache<u64, u64>, mut store: Store, expiry: u64, starts: Duration) -> (Duration, Option<bool>) {
    let clock = Clock::system();
    clock.sleep(starts.saturating_sub(clock.monotonic())).await;
    let mut loaded = false;
    let load = async || {
        loaded = true;
        store.incr::<_, _, u64>(LOADS, 1).await?;
        Clock::system().sleep(LOAD).await;
        Ok::<_, redis::RedisError>(expiry)
    };
    let answer = cache.get_or_load(&expiry, load).await;
    let right = answer.is_ok_and(|value| *value == expiry);
    (clock.monotonic(), right.then_some(loaded))
}

/// Loads of all processes, and what each process saw of each expiry.
fn run(server: &Server, size: Size) -> (u64, Vec<Round>) {
    let _turn = TURN.lock();
    let job = Job {
        url: server.url(),
        size,
        // Said before the processes start, which takes each of them some 50 ms.
        begins: Clock::system().monotonic() + HEAD_START * (1 + size.processes as u32 / 2),
    };
    let mut workers: Vec<Worker> = (0..size.processes).map(|_| Worker::start(ENTRY, &job)).collect();
    workers.iter_mut().for_each(Worker::go);
    let rounds: Vec<Round> = workers.into_iter().flat_map(Worker::finish).collect();
    (loads(server), rounds)
}

fn loads(server: &Server) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(async {
        let mut store = Store::open(&server.url()).await.expect("the server is up");
        store.get(LOADS).await.expect("somebody loaded")
    })
}

/// How long after the one who loaded each waiter had its answer, in order.
fn delays(rounds: &[Round]) -> Vec<Duration> {
    let leader = |expiry: u64| {
        rounds
            .iter()
            .find(|round| round.expiry == expiry && round.leader.is_some())
    };
    let mut delays = Vec::new();
    for round in rounds {
        let led = leader(round.expiry)
            .and_then(|round| round.leader)
            .expect("somebody loaded");
        delays.extend(round.waiters.iter().map(|ended| ended.saturating_sub(led)));
    }
    delays.sort_unstable();
    delays
}

fn one_load_an_expiry(server: &Server) {
    let size = Size::chosen();
    let (loads, rounds) = run(server, size);
    let delays = delays(&rounds);
    let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize];
    println!(
        "{} processes x {} tasks x {} expiries: {loads} loads; waiters after the loader: p50 {:?}, p99 {:?}, max {:?}",
        size.processes,
        size.tasks,
        size.expiries,
        at(0.5),
        at(0.99),
        at(1.0),
    );
    assert_eq!(loads, size.expiries);
    assert!(
        rounds.iter().all(|round| round.failures == 0),
        "every task has its answer"
    );
    assert_eq!(
        delays.len() as u64 + loads,
        size.expiries * (size.processes * size.tasks) as u64
    );
}

#[test]
fn every_expiry_is_loaded_once_on_redis() {
    one_load_an_expiry(&Server::redis());
}

#[test]
fn every_expiry_is_loaded_once_on_larder_serve() {
    one_load_an_expiry(&Server::larder());
}
