//! kill -9 of workers, again and again: every job is done, its effect there once, nothing lost and nothing stuck. Beside it a
//! list from which jobs are popped, which loses what the killed had in hand.

use std::{fmt, sync::Arc, time::Duration};

use larder_base::{Clock, Random};
use larder_kit::queue::Queue;
use larder_store::{Store, redis};
use larder_testkit::{
    Case, RedisServer, eventually,
    naive::PoppedJobs,
    worker::{self, Worker},
};
use redis::AsyncCommands as _;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::immortal::no_immortal_keys_at;

/// Names how many jobs a run has; by default [`JOBS`].
const JOBS_VARIABLE: &str = "LARDER_QUEUE_JOBS";
const JOBS: u64 = 3_000;

/// Workers are killed so often in a run, whatever its length.
const KILLS: u64 = 8;
const WORKERS: usize = 4;
/// Jobs at a time in each.
const CONCURRENCY: usize = 16;

/// What one of those that are killed had is soon another's.
const VISIBILITY: Duration = Duration::from_millis(1_500);
/// How long a job takes, so that kills land in some.
const WORK: Duration = Duration::from_millis(20);
/// Without any progress for so long, something is stuck.
const PATIENCE: Duration = Duration::from_secs(180);

/// The test that a process runs.
const ENTRY: &str = "queue::kills::killed_process";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum How {
    Larder,
    Popped,
}

async fn queue(store: &Store) -> Queue<u64> {
    let builder = Queue::builder("kills")
        .store(store)
        .visibility(VISIBILITY)
        .attempts(1_000);
    let builder = builder.keep_done(Duration::from_secs(3_600), 10_000_000);
    builder.build().await.expect("the store keeps jobs")
}

#[test]
fn killed_process() {
    let Some((how, url)) = worker::job::<(How, String)>() else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime can be built").block_on(async {
        let store = Store::open(&url).await.expect("the server is there");
        worker::ready();
        match how {
            How::Larder => {
                let effects = store.clone();
                let worker = queue(&store).await.worker(move |number, job| {
                    let effects = effects.clone();
                    async move {
                        Clock::system().sleep(WORK).await;
                        effect(&effects, number, job.id()).await?;
                        Ok(())
                    }
                });
                let _working = worker
                    .concurrency(CONCURRENCY)
                    .start()
                    .expect("its settings can be meant");
                std::future::pending::<()>().await;
            }
            How::Popped => work_by_hand(&store).await,
        }
    });
}

/// What a job does: it is counted, and so is how often, in one transaction with its id.
async fn effect(store: &Store, number: u64, id: &str) -> Result<(), redis::RedisError> {
    let script = redis::Script::new(
        "redis.call('INCR', 'runs')
         if redis.call('SADD', 'ids', ARGV[1]) == 1 then return redis.call('INCRBY', 'sum', ARGV[2]) end
         return 0",
    );
    script
        .key("runs")
        .key("ids")
        .key("sum")
        .arg(id)
        .arg(number)
        .invoke_async(&mut store.clone())
        .await
}

async fn work_by_hand(store: &Store) {
    let jobs = PoppedJobs::new(store.dedicated().await.expect("a connection"), "popped");
    let room = Arc::new(Semaphore::new(CONCURRENCY));
    let mut jobs = jobs;
    loop {
        let place = room.clone().acquire_owned().await.expect("it is never closed");
        let Ok(Some(job)) = jobs.pop().await else { continue };
        let store = store.clone();
        drop(tokio::spawn(async move {
            Clock::system().sleep(WORK).await;
            let number = job.parse().expect("a number was pushed");
            let _logged = effect(&store, number, &job).await;
            drop(place);
        }));
    }
}

/// What became of the jobs.
struct Outcome {
    jobs: u64,
    /// Effects that are there.
    effects: u64,
    sum: u64,
    /// Times that a handler came to its effect.
    runs: u64,
    took: Duration,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            jobs,
            effects,
            runs,
            took,
            ..
        } = self;
        write!(
            f,
            "{jobs} jobs in {took:.1?}: {effects} effects, {} lost, {} attempts that came to an effect",
            jobs - effects,
            runs
        )
    }
}

/// Pushes jobs, while workers begin and are killed.
async fn run(server: &RedisServer, how: How, jobs: u64, random: &Random) -> Outcome {
    let (store, clock) = (
        Store::open(&server.url()).await.expect("the server is there"),
        Clock::system(),
    );
    let recruit = || {
        let mut worker = Worker::start(ENTRY, &(how, server.url()));
        worker.go();
        worker
    };
    let mut workers: Vec<Worker> = (0..WORKERS).map(|_| recruit()).collect();
    let began = clock.monotonic();
    let queue = queue(&store).await;
    let mut by_hand = PoppedJobs::new(store.clone(), "popped");
    let (mut pushed, mut killed) = (0, 0);
    let is_over = async |left: u64| match how {
        How::Larder => left == 0,
        // Nobody knows what was popped: over is when nothing comes any more.
        How::Popped => store.clone().llen::<_, u64>("popped").await.expect("it answers") == 0,
    };
    let mut last = (0, clock.monotonic());
    loop {
        let next: Vec<u64> = (pushed..jobs.min(pushed + 1_000)).collect();
        if how == How::Larder {
            let told = queue.push_many_with(&next, |number, o| o.id(number.to_string())).await;
            assert!(
                told.iter().all(|told| told.as_ref().is_ok_and(|told| told.is_new)),
                "{told:?}"
            );
        } else {
            by_hand.push_all(&next).await.expect("it answers");
        }
        pushed += next.len() as u64;
        let done: u64 = store.clone().scard("ids").await.expect("it answers");
        if done > last.0 {
            last = (done, clock.monotonic());
        }
        assert!(
            clock.monotonic() < last.1 + PATIENCE,
            "stuck at {done} of {jobs}: {:?}",
            queue.counts().await
        );
        // Spread over the run, at random moments of its share.
        if killed < KILLS && done >= jobs * killed / KILLS + random.below(jobs / KILLS / 2 + 1) {
            let victim = &mut workers[random.below(WORKERS as u64) as usize];
            victim.kill();
            *victim = recruit();
            killed += 1;
        }
        let left = queue.counts().await.expect("it answers").lag();
        if pushed == jobs && killed == KILLS && is_over(left).await {
            break;
        }
        clock.sleep(Duration::from_millis(5)).await;
    }
    if how == How::Popped {
        // What is in hand now ends by itself.
        let mut runs = 0;
        eventually(PATIENCE, async || {
            clock.sleep(WORK * 20).await;
            let before = std::mem::replace(&mut runs, store.clone().get("runs").await.expect("it answers"));
            runs == before
        })
        .await;
    }
    let took = clock.monotonic().saturating_sub(began);
    let mut read = store.clone();
    Outcome {
        jobs,
        effects: read.scard("ids").await.expect("it answers"),
        sum: read.get("sum").await.expect("it answers"),
        runs: read.get("runs").await.expect("it answers"),
        took,
    }
}

fn jobs() -> u64 {
    let Ok(text) = std::env::var(JOBS_VARIABLE) else {
        return JOBS;
    };
    text.parse()
        .unwrap_or_else(|_| panic!("{JOBS_VARIABLE} is {text:?}, which is not a number"))
}

/// One at a time: each of them wants both cores.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_killed_every_job_is_done_and_its_effect_there_once() {
    let _turn = TURN.lock().await;
    let (server, case) = (
        RedisServer::start().await,
        Case::each(1, 1).next().expect("there is one"),
    );
    let outcome = run(&server, How::Larder, jobs(), &case.random()).await;
    println!("larder, {KILLS} kills of {WORKERS} workers: {outcome}");
    let jobs = outcome.jobs;
    assert_eq!(
        (outcome.effects, outcome.sum),
        (jobs, jobs * (jobs - 1) / 2),
        "{outcome}"
    );
    let store = Store::open(&server.url()).await.expect("the server is there");
    let counts = queue(&store).await.counts().await.expect("it answers");
    assert_eq!((counts.lag(), counts.dead, counts.done), (0, 0, jobs), "{counts:?}");
    let _: () = store
        .clone()
        .del(&["ids", "runs", "sum"][..])
        .await
        .expect("it answers");
    no_immortal_keys_at(&mut larder_testkit::Wire::tcp(server.port()), 1);
}

/// Runs in which the baseline may get away.
const ATTEMPTS: u64 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_popped_list_loses_what_the_killed_had_in_hand() {
    let _turn = TURN.lock().await;
    for case in Case::each(ATTEMPTS, 1) {
        let server = RedisServer::start().await;
        let outcome = run(&server, How::Popped, jobs().min(JOBS), &case.random()).await;
        println!("popped, {KILLS} kills of {WORKERS} workers: {outcome}");
        if outcome.effects < outcome.jobs {
            return;
        }
    }
    panic!("nothing was lost in {ATTEMPTS} runs: the window is too narrow");
}

/// Never early; how late is told, not judged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delays_are_never_cut_short_and_their_lateness_is_told() {
    let _turn = TURN.lock().await;
    let server = RedisServer::start().await;
    let store = Store::open(&server.url()).await.expect("the server is there");
    let queue: Queue<u64> = Queue::builder("delays")
        .store(&store)
        .build()
        .await
        .expect("the store keeps jobs");
    let (late, mut seen) = tokio::sync::mpsc::channel(1_000);
    let worker = queue.worker(move |due_ms: u64, _| {
        let now_ms = Clock::system().unix().as_millis() as i64;
        let late = late.clone();
        async move { Ok(late.send(now_ms - due_ms as i64).await?) }
    });
    let worker = worker.concurrency(16).start().expect("its settings can be meant");
    let now = Clock::system().unix();
    let due: Vec<u64> = (0..300)
        .map(|number| now.as_millis() as u64 + 300 + number * 5)
        .collect();
    let at = |ms: u64| std::time::UNIX_EPOCH + Duration::from_millis(ms);
    for pushed in queue.push_many_with(&due, |ms, o| o.at(at(*ms))).await {
        pushed.expect("there is room");
    }
    let mut lateness = Vec::new();
    while lateness.len() < due.len() {
        lateness.push(
            tokio::time::timeout(PATIENCE, seen.recv())
                .await
                .expect("it comes")
                .expect("the worker lives"),
        );
    }
    lateness.sort_unstable();
    let (median, p99, most) = (lateness[150], lateness[296], lateness[299]);
    println!("delays: median {median} ms late, p99 {p99} ms, at most {most} ms");
    assert!(lateness[0] >= 0, "never early: {lateness:?}");
    worker.stop(PATIENCE).await;
}
