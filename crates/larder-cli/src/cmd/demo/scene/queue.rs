//! Queue: jobs whose workers are dropped in the middle, as a deploy or a crash would: nothing is given back or said. Beside it what
//! is written by hand: a list from which jobs are popped.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use larder::{
    Store,
    queue::Queue,
    redis::{self, AsyncCommands as _},
};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::{Playing, Scene};
use crate::{
    cmd::demo::{report::Report, stage::Stage},
    failure::Outcome,
};

pub(super) const SCENE: Scene = Scene {
    name: "queue",
    shows: "jobs whose workers vanish in the middle",
    run: |stage| -> Playing<'_> { Box::pin(play(stage)) },
};

const JOBS: u64 = 300;
/// Workers that vanish, one after the other.
const VANISH: u64 = 3;
const CONCURRENCY: usize = 10;
/// How long a job takes.
const WORK: Duration = Duration::from_millis(5);
/// How long what a vanished worker had is left to it.
const VISIBILITY: Duration = Duration::from_millis(500);
/// By when a worker has moved, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// How often each job's effect came about.
type Effects = Arc<Mutex<BTreeMap<u64, u64>>>;

async fn play(stage: &Stage) -> Outcome<Report> {
    let jobs: Vec<u64> = (0..JOBS).collect();
    let queue: Queue<u64> = Queue::builder(&stage.namespace("queue"))
        .store(&stage.store)
        .visibility(VISIBILITY)
        .build()
        .await?;
    let mut pushed = 0;
    // Twice: whoever pushes may be told nothing and push again.
    for _ in 0..2 {
        for told in queue.push_many_with(&jobs, |job, o| o.id(job.to_string())).await {
            pushed += u64::from(told?.is_new);
        }
    }
    let effects = Effects::default();
    let (played, took) = stage.timed(larder(stage, &queue, &effects)).await;
    let retaken = played?;
    let done = effects.lock().len() as u64;
    let twice = effects.lock().values().filter(|times| **times > 1).count() as u64;
    let by_hand = popped(stage, &jobs).await?;

    let mut report = Report::default();
    report.count("jobs", JOBS);
    report.count("pushes", 2 * JOBS);
    report.count("workers_vanished", VANISH);
    report.count("jobs_in_hand_then", retaken);
    report.count("jobs_lost", JOBS - done);
    report.count("jobs_lost_popped", JOBS - by_hand);
    report.count("effects_twice", twice);
    report.span("all_done_after", took);
    report.claim(
        pushed == JOBS,
        format_args!("one id is one job: {pushed} of {} pushes", 2 * JOBS),
    );
    report.claim(
        done == JOBS,
        format_args!("every job is done, whoever vanishes: {} lost", JOBS - done),
    );
    report.lesson(
        "what a worker takes stays in the queue until it is done: another begins it again, and the one that was overtaken completes \
         nothing",
    );
    Ok(report)
}

/// Works the queue off with workers that vanish; how many jobs they had in hand.
async fn larder(stage: &Stage, queue: &Queue<u64>, effects: &Effects) -> Outcome<u64> {
    let mut in_hand = 0;
    for round in 0..=VANISH {
        let (begun, clock) = (Arc::new(AtomicU64::new(0)), stage.clock.clone());
        let (effects, beginning) = (effects.clone(), begun.clone());
        let worker = queue
            .worker(move |job: u64, _| {
                let (effects, clock) = (effects.clone(), clock.clone());
                beginning.fetch_add(1, SeqCst);
                async move {
                    clock.sleep(WORK).await;
                    *effects.lock().entry(job).or_default() += 1;
                    Ok(())
                }
            })
            .concurrency(CONCURRENCY)
            .start()?;
        let is_last = round == VANISH;
        let waiting = async {
            while if is_last {
                queue.counts().await?.lag() > 0
            } else {
                begun.load(SeqCst) < 40
            } {
                stage.clock.sleep(LOOK_EVERY).await;
            }
            Ok::<_, larder::queue::QueueError>(())
        };
        stage.clock.timeout(PATIENCE, waiting).await.transpose()?;
        if is_last {
            worker.stop(PATIENCE).await;
        } else {
            drop(worker);
            in_hand += queue.counts().await?.running;
        }
    }
    Ok(in_hand)
}

/// The same by hand: how many jobs were done.
async fn popped(stage: &Stage, jobs: &[u64]) -> Outcome<u64> {
    let list = stage.namespace("queue-popped");
    let mut store = stage.store.clone();
    store.rpush::<_, _, ()>(&list, jobs).await?;
    store.expire::<_, ()>(&list, 600).await?;
    let done = Arc::new(AtomicU64::new(0));
    for round in 0..=VANISH {
        let begun = Arc::new(AtomicU64::new(0));
        let mut workers = JoinSet::new();
        for _ in 0..CONCURRENCY {
            let (begun, done, list) = (begun.clone(), done.clone(), list.clone());
            let (mut store, clock): (Store, _) = (stage.store.clone(), stage.clock.clone());
            workers.spawn(async move {
                while let Ok(Some(_job)) = store.lpop::<_, Option<u64>>(&list, None).await {
                    begun.fetch_add(1, SeqCst);
                    clock.sleep(WORK).await;
                    done.fetch_add(1, SeqCst);
                }
            });
        }
        if round == VANISH {
            let ended = async { while workers.join_next().await.is_some() {} };
            let _in_time = stage.clock.timeout(PATIENCE, ended).await;
        } else {
            let waiting = async {
                while begun.load(SeqCst) < 40 {
                    stage.clock.sleep(LOOK_EVERY).await;
                }
            };
            let _in_time = stage.clock.timeout(PATIENCE, waiting).await;
            workers.shutdown().await;
        }
    }
    redis::cmd("DEL").arg(&list).exec_async(&mut store).await?;
    Ok(done.load(SeqCst))
}
