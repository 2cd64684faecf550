//! Four processes at one redis-server: what they are admitted, together, is judged by C13, call by call.
//!
//! The ordinary run makes 20,000 calls of each kind. `LARDER_LIMIT_CALLS=1000000` sets how many; with `--nocapture` the figures
//! are printed.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use larder_base::Clock;
use larder_kit::limit::{
    ConcurrencyLimit, Entry, FixedWindow, Gcra, Limit, LimitError, Limiter, OnStoreDown, SlidingCounter, SlidingLog,
};
use larder_store::Store;
use larder_testkit::{
    RedisServer, Wire,
    history::{Call, Formula, RateReport, Stay, check_rates, check_stays},
    worker::{self, Worker},
};
use serde::{Deserialize, Serialize};

use crate::immortal::no_immortal_keys_at;

/// The variable that sets how many calls each kind gets.
const CALLS_VARIABLE: &str = "LARDER_LIMIT_CALLS";

/// The test that is a worker's whole program.
const ENTRY: &str = "limit::processes::calling_worker";

const PROCESSES: u64 = 4;

/// Calls that a process has on their way at once: enough to keep the server busy, and to have many in one microsecond.
const TASKS: u64 = 16;

/// Few, so that each is fought for.
const SUBJECTS: u64 = 4;

/// Calls of one process in a record.
const RECORD: usize = 500;

/// Places of the concurrency limit.
const PLACES: u64 = 5;

/// Whose calls they are to be, and of what kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    url: String,
    kind: String,
    calls: u64,
}

/// A call as it is handed in: subject, server's clock, cost, whether it was admitted.
type Written = (u64, u64, u64, bool);

/// A stay as it is handed in: subject, asked, answered, given up.
type WrittenStay = (u64, u64, u64, Option<(u64, u64)>);

/// Permits a second for each subject: a part of what comes, on a slow machine too.
fn rate(calls: u64) -> u64 {
    if calls < 100_000 { 40 } else { 1_000 }
}

/// What is promised, as the limiter is told and as the checker is.
fn promised(kind: &str, calls: u64) -> Option<(Limit, Formula)> {
    const SECOND: u64 = 1_000_000;
    let rate = rate(calls);
    let sure = "the numbers are sensible";
    let promised = match kind {
        "gcra" => (
            Gcra::per_second(rate).burst(20).try_into().expect(sure),
            Formula::Gcra {
                interval: SECOND.div_ceil(rate),
                burst: 20,
            },
        ),
        "fixed" => (
            FixedWindow::per_second(rate).try_into().expect(sure),
            Formula::Fixed {
                limit: rate,
                window: SECOND,
            },
        ),
        "counter" => (
            SlidingCounter::per_second(rate).try_into().expect(sure),
            Formula::Counter {
                limit: rate,
                window: SECOND,
            },
        ),
        "log" => (
            SlidingLog::per(rate / 2, Duration::from_millis(500))
                .try_into()
                .expect(sure),
            Formula::Log {
                limit: rate / 2,
                window: SECOND / 2,
            },
        ),
        _ => return None,
    };
    Some(promised)
}

#[test]
fn calling_worker() {
    let Some(job) = worker::job::<Job>() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime can be built").block_on(work(job));
}

async fn work(job: Job) {
    let store = Store::open(&job.url).await.expect("the server is up");
    worker::ready();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (job, store) = (job.clone(), store.clone());
            tokio::spawn(async move {
                match promised(&job.kind, job.calls) {
                    Some((limit, _)) => call(&job, &store, limit, task).await,
                    None => stay(&job, &store).await,
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("it does not panic").expect("the store answers");
    }
}

async fn call(job: &Job, store: &Store, limit: Limit, task: u64) -> Result<(), LimitError> {
    let builder = Limiter::builder(&job.kind).store(store).limit(limit);
    let limiter = builder.on_store_down(OnStoreDown::Closed).build()?;
    let mut record: Vec<Written> = Vec::with_capacity(RECORD);
    for _ in 0..job.calls / PROCESSES / TASKS {
        let (subject, cost) = (store.random().below(SUBJECTS), 1 + store.random().below(2) * (task % 2));
        let decision = limiter.check_cost(&subject, cost).await?;
        let at = decision.server_time.expect("the store decided").as_micros() as u64;
        record.push((subject, at, cost, decision.allowed));
        if record.len() == RECORD {
            worker::report(&std::mem::take(&mut record));
        }
    }
    worker::report(&record);
    Ok(())
}

async fn stay(job: &Job, store: &Store) -> Result<(), LimitError> {
    let builder = ConcurrencyLimit::builder(&job.kind).store(store).limit(PLACES);
    let limit = builder.on_store_down(OnStoreDown::Closed).build()?;
    let now = || Clock::system().monotonic().as_nanos() as u64;
    let mut record: Vec<WrittenStay> = Vec::with_capacity(RECORD);
    for _ in 0..job.calls / PROCESSES / TASKS {
        let (subject, asked) = (store.random().below(SUBJECTS), now());
        let entry = limit.enter(&subject).await?;
        let answered = now();
        let given_up = match entry {
            Entry::Admitted(permit) => {
                let leaving = now();
                assert!(permit.release().await, "a lease of half a minute stands for a moment");
                Some((leaving, now()))
            }
            Entry::Full(_) => None,
        };
        record.push((subject, asked, answered, given_up));
        if record.len() == RECORD {
            worker::report(&std::mem::take(&mut record));
        }
    }
    worker::report(&record);
    Ok(())
}

/// Four processes are enough for a machine: the kinds take turns.
static TURN: Mutex<()> = Mutex::new(());

fn calls() -> u64 {
    std::env::var(CALLS_VARIABLE).map_or(20_000, |text| text.parse().expect("a number of calls"))
}

/// What all processes handed in, and a scan of what they left.
fn records<R: serde::de::DeserializeOwned + Send + 'static>(kind: &str) -> Vec<R> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let server = runtime.expect("a runtime can be built").block_on(RedisServer::start());
    let job = Job {
        url: server.url(),
        kind: kind.to_owned(),
        calls: calls(),
    };
    let mut workers: Vec<Worker> = (0..PROCESSES).map(|_| Worker::start(ENTRY, &job)).collect();
    workers.iter_mut().for_each(Worker::go);
    // Read side by side: who is not read stands still once its pipe is full.
    let readers: Vec<_> = workers
        .into_iter()
        .map(|worker| std::thread::spawn(|| worker.finish::<Vec<R>>()))
        .collect();
    let records = readers
        .into_iter()
        .flat_map(|reader| reader.join().expect("the worker ends well"));
    let records = records.flatten().collect();
    // At rest all may have lapsed already.
    no_immortal_keys_at(&mut Wire::tcp(server.port()), 0);
    records
}

/// Judges what four processes were told under a limit of this kind.
fn judged(kind: &str) {
    let (_, formula) = promised(kind, calls()).expect("there is such a kind");
    let started = Clock::system().monotonic();
    let records: Vec<Written> = records(kind);
    let took = Clock::system().monotonic() - started;
    let call = |(subject, at, cost, admitted): Written| Call {
        subject,
        at,
        cost,
        admitted,
    };
    let calls: Vec<Call> = records.into_iter().map(call).collect();
    let report = check_rates(&calls, formula);
    tell(kind, &report, took);
    // Both sides were seen: a limit that is never reached, or never left, shows nothing.
    assert!(report.admitted > 0 && report.denied > 0, "{report:?}");
    assert_eq!(report.violations, [], "{formula:?}");
    // The checker would notice: the same calls under a limit with two permits less, or two more, are wrong.
    for other in neighbours(formula) {
        assert!(
            !check_rates(&calls, other).violations.is_empty(),
            "{other:?} passes as well"
        );
    }
}

fn tell(kind: &str, report: &RateReport, took: Duration) {
    println!(
        "{kind}: {} admitted, {} denied, {} violations, {took:.1?}",
        report.admitted,
        report.denied,
        report.violations.len()
    );
}

fn neighbours(formula: Formula) -> [Formula; 2] {
    // Two: one is where the counter's f64 is too close to tell.
    [-2i64, 2].map(|by| {
        let other = |limit: u64| limit.saturating_add_signed(by);
        match formula {
            Formula::Gcra { interval, burst } => Formula::Gcra {
                interval,
                burst: other(burst),
            },
            Formula::Fixed { limit, window } => Formula::Fixed {
                limit: other(limit),
                window,
            },
            Formula::Counter { limit, window } => Formula::Counter {
                limit: other(limit),
                window,
            },
            Formula::Log { limit, window } => Formula::Log {
                limit: other(limit),
                window,
            },
        }
    })
}

#[test]
fn four_processes_are_admitted_what_gcra_says() {
    judged("gcra");
}

#[test]
fn four_processes_are_admitted_what_the_fixed_window_says() {
    judged("fixed");
}

#[test]
fn four_processes_are_admitted_what_the_sliding_counter_says() {
    judged("counter");
}

#[test]
fn four_processes_are_admitted_what_the_sliding_log_says() {
    judged("log");
}

#[test]
fn four_processes_are_in_as_many_at_once_as_there_are_places() {
    let started = Clock::system().monotonic();
    let records: Vec<WrittenStay> = records("places");
    let took = Clock::system().monotonic() - started;
    let stay = |(subject, asked, answered, given_up): WrittenStay| Stay {
        subject,
        asked,
        answered,
        given_up,
    };
    let stays: Vec<Stay> = records.into_iter().map(stay).collect();
    let report = check_stays(&stays, PLACES);
    tell("concurrency", &report, took);
    assert!(report.admitted > 0 && report.denied > 0, "{report:?}");
    assert_eq!(report.violations, []);
}
