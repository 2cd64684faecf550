//! 40: the one who loads dies, fails or goes away while 8 processes wait. One more load, and nobody waits longer than one
//! lease; a loader that still lives frees its waiters at once.
//!
//! Timing claims allow for what the machine itself was late, which is measured meanwhile.

use std::time::Duration;

use larder_base::Clock;
use larder_testkit::{Kind, worker::Worker};

use super::row::{Baseline, Turn, Verdict, row};
use crate::processes::{
    Server, Sum, TURN, finish,
    stall::Stall,
    start,
    worker::{First, Job, Saw},
};

const PROCESSES: usize = 8;
const TASKS: usize = 32;

/// Short, so that the test of a dead leader is; long against a busy machine's scheduler.
const LEASE: Duration = Duration::from_secs(1);

/// What a waiter may need beyond the lease: to look again (at most 50 ms), to load, to answer.
const SLACK: Duration = Duration::from_millis(100);

/// How long a load takes.
const LOAD: Duration = Duration::from_millis(50);

/// "At once" is below this: half of what the lock of code written by hand lasts.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Servers that processes share.
const SHARED: [Kind; 2] = [Kind::Serve, Kind::Redis];

fn server(kind: Kind) -> Server {
    match kind {
        Kind::Redis => Server::redis(),
        Kind::Serve | Kind::Embedded => Server::larder(),
    }
}

/// Plays a scenario that waits for other processes, on a thread where it may.
async fn blocking(scenario: impl FnOnce() -> Verdict + Send + 'static) -> Verdict {
    tokio::task::spawn_blocking(scenario).await.expect("no panic")
}

#[test]
fn fault_40_killed() {
    row(40, &[Baseline::Lock], &SHARED, async |turn: Turn| {
        blocking(move || killed(&server(turn.kind), turn.baseline)).await
    });
}

fn killed(server: &Server, by: Baseline) -> Verdict {
    let _turn = TURN.lock();
    let (mut verdict, stall) = (Verdict::default(), Stall::measure());
    let mut workers = start(
        PROCESSES,
        &Job {
            url: server.url(),
            tasks: TASKS,
            lease: LEASE,
            load: LOAD,
            first: First::Hangs,
            by,
        },
    );
    let leader = who_loads(&mut workers);
    workers.remove(leader).kill();
    let killed = Clock::system().monotonic();
    let sum = finish(workers);
    let (longest, late) = (sum.last.saturating_sub(killed), stall.worst());
    verdict.expect(sum.loads <= 1, format!("{} loads after the first", sum.loads));
    verdict.expect(
        (sum.failures, sum.waits.len()) == (0, (PROCESSES - 1) * TASKS),
        format!("{} of {} answers failed", sum.failures, sum.waits.len()),
    );
    verdict.expect(
        longest <= LEASE + SLACK + late,
        format!("waited {longest:?} after the kill, with a lease of {LEASE:?}; machine late by {late:?}"),
    );
    verdict
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

/// Stampedes whose first load ends in this way, under a lease that would stand out.
fn first_load(turn: &Turn, first: First) -> (Sum, Duration) {
    /// Long: whoever waited for it would stand out.
    const LONG: Duration = Duration::from_secs(20);
    let server = server(turn.kind);
    let _turn = TURN.lock();
    let stall = Stall::measure();
    let job = Job {
        url: server.url(),
        tasks: TASKS,
        lease: LONG,
        load: LOAD,
        first,
        by: turn.baseline,
    };
    let sum = finish(start(PROCESSES, &job));
    (sum, stall.worst())
}

fn freed_at_once(sum: &Sum, late: Duration, verdict: &mut Verdict) {
    verdict.expect(sum.loads == 2, format!("the next one loads: {} loads", sum.loads));
    let longest = sum.max();
    verdict.expect(
        longest <= AT_ONCE + late,
        format!("somebody waited {longest:?}; machine late by {late:?}"),
    );
}

#[test]
fn fault_40_failed() {
    row(40, &[], &SHARED, async |turn: Turn| {
        let played = move || {
            let (mut verdict, (sum, late)) = (Verdict::default(), first_load(&turn, First::Fails));
            freed_at_once(&sum, late, &mut verdict);
            verdict.expect(
                (1..=TASKS).contains(&sum.failures),
                format!("only the failed flight is told, not {} callers", sum.failures),
            );
            verdict
        };
        blocking(played).await
    });
}

#[test]
fn fault_40_panicked() {
    row(40, &[Baseline::Lock], &SHARED, async |turn: Turn| {
        let played = move || {
            let (mut verdict, (sum, late)) = (Verdict::default(), first_load(&turn, First::Panics));
            freed_at_once(&sum, late, &mut verdict);
            let answers = (sum.failures, sum.waits.len());
            verdict.expect(
                answers == (0, PROCESSES * TASKS - 1),
                format!("all but the one that panicked have an answer: {answers:?}"),
            );
            verdict
        };
        blocking(played).await
    });
}

#[test]
fn fault_40_cancelled() {
    row(40, &[Baseline::Lock], &SHARED, async |turn: Turn| {
        let played = move || {
            let (mut verdict, (sum, late)) = (Verdict::default(), first_load(&turn, First::IsCancelled));
            freed_at_once(&sum, late, &mut verdict);
            let answers = (sum.failures, sum.waits.len());
            verdict.expect(
                answers == (1, PROCESSES * TASKS),
                format!("all but the one that went away have an answer: {answers:?}"),
            );
            verdict
        };
        blocking(played).await
    });
}
