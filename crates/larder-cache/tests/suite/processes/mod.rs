//! Stampedes over several processes: one load a miss. What becomes of waiters whose leader dies is told by fault row 40.
//!
//! Four processes of 250 tasks each ask for one missing key at once, over a private redis-server and over
//! `larder serve`.

mod expiries;
pub(crate) mod stall;
pub(crate) mod worker;

use std::time::Duration;

use larder_testkit::{LarderServer, RedisServer, worker::Worker};
use parking_lot::Mutex;

use worker::{ENTRY, First, Job, Saw};

use crate::faults::row::Baseline;

const PROCESSES: usize = 4;
const TASKS: usize = 250;

/// Long against a busy machine's scheduler: nobody dies here, so nobody waits for it.
const LEASE: Duration = Duration::from_secs(10);

/// A thousand tasks at once are enough for a machine: the stampedes take turns.
pub(crate) static TURN: Mutex<()> = Mutex::new(());

/// A server that the processes share.
pub(crate) enum Server {
    Redis(RedisServer),
    Larder(LarderServer),
}

impl Server {
    pub(crate) fn redis() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Self::Redis(runtime.expect("a runtime can be built").block_on(RedisServer::start()))
    }

    pub(crate) fn larder() -> Self {
        Self::Larder(LarderServer::start())
    }

    pub(crate) fn url(&self) -> String {
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
            by: Baseline::Larder,
        }
    }
}

/// What all processes saw together.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    pub(crate) loads: usize,
    pub(crate) failures: usize,
    /// How long each task waited for its answer, in order.
    pub(crate) waits: Vec<Duration>,
    /// When the last one had it.
    pub(crate) last: Duration,
}

impl Sum {
    pub(crate) fn of(records: Vec<Saw>) -> Self {
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

    pub(crate) fn max(&self) -> Duration {
        *self.waits.last().expect("somebody waited")
    }
}

pub(crate) fn start(processes: usize, job: &Job) -> Vec<Worker> {
    let mut workers: Vec<Worker> = (0..processes).map(|_| Worker::start(ENTRY, job)).collect();
    workers.iter_mut().for_each(Worker::go);
    workers
}

pub(crate) fn finish(workers: Vec<Worker>) -> Sum {
    Sum::of(workers.into_iter().flat_map(Worker::finish).collect())
}

fn one_load(server: &Server) {
    let _turn = TURN.lock();
    let sum = finish(start(PROCESSES, &server.job()));
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
    let sum = finish(start(
        PROCESSES,
        &Job {
            by: Baseline::Naive,
            ..server.job()
        },
    ));
    println!("naive: {} loads", sum.loads);
    assert!(
        sum.loads > TASKS,
        "{} loads of {} callers",
        sum.loads,
        PROCESSES * TASKS
    );
}
