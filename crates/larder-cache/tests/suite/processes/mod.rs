//! Stampedes over several processes: one load a miss, whoever dies, and nobody waits longer than one lease.
//!
//! Four processes of 250 tasks each ask for one missing key at once, over a private redis-server and over
//! `larder serve`. Timing claims allow for what the machine itself was late, which is measured meanwhile.

mod stall;
mod worker;

use std::time::Duration;

use larder_base::Clock;
use larder_testkit::{LarderServer, RedisServer, worker::Worker};
use parking_lot::Mutex;

use stall::Stall;
use worker::{ENTRY, First, Job, Saw};

const PROCESSES: usize = 4;
const TASKS: usize = 250;

/// Short, so that the test of a dead leader is; long against a busy machine's scheduler.
const LEASE: Duration = Duration::from_secs(1);

/// What a waiter may need beyond the lease: to look again (at most 50 ms), to load, to answer.
const SLACK: Duration = Duration::from_millis(100);

/// A thousand tasks at once are enough for a machine: the stampedes take turns.
static TURN: Mutex<()> = Mutex::new(());

/// A server that the processes share.
enum Server {
    Redis(RedisServer),
    Larder(LarderServer),
}

impl Server {
    fn redis() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Self::Redis(runtime.expect("a runtime can be built").block_on(RedisServer::start()))
    }

    fn larder() -> Self {
        Self::Larder(LarderServer::start())
    }

    fn url(&self) -> String {
        match self {
            Self::Redis(server) => server.url(),
            Self::Larder(server) => server.url(),
        }
    }

    fn job(&self) -> Job {
        Job {
            url: self.url(),
            tasks: TASKS,
            lease: LEASE,
            load: Duration::from_millis(50),
            first: First::Answers,
            naive: false,
        }
    }
}

/// What all processes saw together.
#[derive(Debug, Default)]
struct Sum {
    loads: usize,
    failures: usize,
    waits: Vec<Duration>,
    last: Duration,
}

impl Sum {
    fn of(records: Vec<Saw>) -> Self {
        let mut sum = Self::default();
        for record in records {
            match record {
                Saw::Load => sum.loads += 1,
                Saw::Answer { began, ended, ok } => {
                    sum.failures += usize::from(!ok);
                    sum.waits.push(ended - began);
                    sum.last = sum.last.max(ended);
                }
            }
        }
        sum.waits.sort_unstable();
        sum
    }

    fn p99(&self) -> Duration {
        self.waits[self.waits.len() * 99 / 100]
    }

    fn max(&self) -> Duration {
        *self.waits.last().expect("somebody waited")
    }
}

fn start(job: &Job) -> Vec<Worker> {
    let mut workers: Vec<Worker> = (0..PROCESSES).map(|_| Worker::start(ENTRY, job)).collect();
    workers.iter_mut().for_each(Worker::go);
    workers
}

fn finish(workers: Vec<Worker>) -> Sum {
    Sum::of(workers.into_iter().flat_map(Worker::finish).collect())
}

fn one_load(server: &Server) {
    let _turn = TURN.lock();
    let sum = finish(start(&server.job()));
    println!(
        "{PROCESSES} x {TASKS} tasks, 50 ms load: {} load, p99 {:?}, max {:?}",
        sum.loads,
        sum.p99(),
        sum.max()
    );
    assert_eq!((sum.loads, sum.failures, sum.waits.len()), (1, 0, PROCESSES * TASKS));
}

#[test]
fn a_thousand_callers_in_four_processes_cause_one_load_on_redis() {
    one_load(&Server::redis());
}

#[test]
fn a_thousand_callers_in_four_processes_cause_one_load_on_larder_serve() {
    one_load(&Server::larder());
}

/// Without this the claim above might hold of anything.
#[test]
fn naive_code_loads_once_a_caller() {
    let _turn = TURN.lock();
    let server = Server::redis();
    let sum = finish(start(&Job {
        naive: true,
        ..server.job()
    }));
    println!("naive: {} loads", sum.loads);
    assert!(
        sum.loads > TASKS,
        "{} loads of {} callers",
        sum.loads,
        PROCESSES * TASKS
    );
}

fn dead_leader(server: &Server) {
    let _turn = TURN.lock();
    let stall = Stall::measure();
    let mut workers = start(&Job {
        first: First::Hangs,
        ..server.job()
    });
    let leader = who_loads(&mut workers);
    workers.remove(leader).kill();
    let killed = Clock::system().monotonic();
    let sum = finish(workers);
    let longest = sum.last.saturating_sub(killed);
    let late = stall.worst();
    println!(
        "leader killed: {} more loads, longest wait after it {longest:?}, machine late by {late:?}",
        sum.loads
    );
    assert!(sum.loads <= 1, "{} loads after the first", sum.loads);
    assert_eq!((sum.failures, sum.waits.len()), (0, (PROCESSES - 1) * TASKS));
    assert!(
        longest <= LEASE + SLACK + late,
        "waited {longest:?} after the kill; machine late by {late:?}"
    );
}

/// Waits until one of the processes loads; which.
fn who_loads(workers: &mut [Worker]) -> usize {
    // No other record comes before the first load: nobody has an answer.
    let clock = Clock::system();
    let until = clock.monotonic() + Duration::from_secs(30);
    while clock.monotonic() < until {
        for (which, worker) in workers.iter_mut().enumerate() {
            if let Some(Saw::Load) = worker.next_within(Duration::from_millis(1)) {
                return which;
            }
        }
    }
    panic!("nobody loads");
}

#[test]
fn a_killed_leader_costs_its_waiters_one_lease_on_redis() {
    dead_leader(&Server::redis());
}

#[test]
fn a_killed_leader_costs_its_waiters_one_lease_on_larder_serve() {
    dead_leader(&Server::larder());
}

fn failing_load(server: &Server) {
    /// Long: whoever waited for it would stand out.
    const LONG: Duration = Duration::from_secs(20);
    let _turn = TURN.lock();
    let sum = finish(start(&Job {
        first: First::Fails,
        lease: LONG,
        ..server.job()
    }));
    println!(
        "first load fails: {} loads, {} told so, max {:?}",
        sum.loads,
        sum.failures,
        sum.max()
    );
    assert_eq!(sum.loads, 2, "the next one loads");
    assert!(
        (1..=TASKS).contains(&sum.failures),
        "only the failed flight is told, not {} callers",
        sum.failures
    );
    assert!(sum.max() < LONG / 2, "{:?}: somebody waited for the lease", sum.max());
}

#[test]
fn a_failing_load_makes_nobody_wait_for_its_lease_on_redis() {
    failing_load(&Server::redis());
}

#[test]
fn a_failing_load_makes_nobody_wait_for_its_lease_on_larder_serve() {
    failing_load(&Server::larder());
}
