//! In which order jobs run, and how many at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use larder_kit::queue::{JobFailure, JobState, Queue, QueueError, Schedule, Worker};
use larder_store::redis::AsyncCommands as _;
use larder_testkit::for_each_topology;

use super::{PATIENCE, Seen, numbers, pass_until, settings};
use crate::immortal::no_immortal_keys;

type Done = Result<(), QueueError>;

/// A worker that notes what it does, one at a time.
fn noting(queue: &Queue<u64>, seen: &Seen) -> Worker {
    let noting = seen.clone();
    let worker = queue.worker(move |number, _| {
        noting.note(number);
        async { Ok(()) }
    });
    worker.start().expect("its settings can be meant")
}

/// Jobs of one group keep their order over workers and retries, while other groups go on; a list with several workers does not.
#[test]
fn a_group_keeps_its_order_over_workers_and_retries() {
    for_each_topology(async |t| -> Done {
        let queue = numbers(&t).await;
        for number in 0..40u64 {
            queue
                .push_with(&number, |o| o.group(format!("user-{}", number % 4)))
                .await?;
        }
        let (seen, running) = (Seen::default(), Arc::new([const { AtomicUsize::new(0) }; 4]));
        let workers: Vec<Worker> = (0..3)
            .map(|_| {
                let (seen, running) = (seen.clone(), running.clone());
                let worker = queue.worker(move |number: u64, job| {
                    let (seen, running) = (seen.clone(), running.clone());
                    async move {
                        let of_group = &running[(number % 4) as usize];
                        assert_eq!(of_group.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
                        tokio::task::yield_now().await;
                        of_group.fetch_sub(1, Ordering::SeqCst);
                        if number.is_multiple_of(7) && job.attempt() == 1 {
                            return Err(JobFailure::retry("once"));
                        }
                        seen.note(number);
                        Ok(())
                    }
                });
                worker.concurrency(4).start()
            })
            .collect::<Result<_, _>>()?;
        pass_until(&t, async || seen.all().len() == 40).await;
        for group in 0..4 {
            let of_group: Vec<u64> = seen.all().into_iter().filter(|number| number % 4 == group).collect();
            assert!(of_group.is_sorted(), "group {group}: {of_group:?}");
        }
        for worker in workers {
            worker.stop(PATIENCE).await;
        }
        assert_eq!(queue.counts().await?.done, 40);
        no_immortal_keys(&t, 41);
        Ok(())
    });
}

#[test]
fn higher_priorities_go_first() {
    for_each_topology(async |t| -> Done {
        let queue = numbers(&t).await;
        for (number, priority) in [(1, 0), (2, -5), (3, 9), (4, 0), (5, 9)] {
            queue.push_with(&number, |o| o.priority(priority)).await?;
        }
        let waiting = queue.list(JobState::Waiting, 1, 2).await?;
        assert_eq!(waiting.iter().map(|job| job.priority).collect::<Vec<_>>(), [9, 0]);
        t.advance(1).await;
        assert!(queue.counts().await?.oldest_waiting >= Some(t.units(1)));
        let seen = Seen::default();
        let worker = noting(&queue, &seen);
        pass_until(&t, async || seen.all().len() == 5).await;
        assert_eq!(seen.all(), [3, 5, 1, 4, 2]);
        worker.stop(PATIENCE).await;
        Ok(())
    });
}

#[test]
fn no_more_run_at_once_than_the_queue_may() {
    for_each_topology(async |t| -> Done {
        let queue = settings(&t).await.running_max(2).build().await?;
        let jobs: Vec<u64> = (0..30).collect();
        queue.push_many(&jobs).await;
        let (running, most, seen) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicUsize::new(0)),
            Seen::default(),
        );
        let workers: Vec<Worker> = (0..3)
            .map(|_| {
                let (running, most, seen) = (running.clone(), most.clone(), seen.clone());
                let worker = queue.worker(move |number, _| {
                    let (running, most, seen) = (running.clone(), most.clone(), seen.clone());
                    async move {
                        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        tokio::task::yield_now().await;
                        running.fetch_sub(1, Ordering::SeqCst);
                        seen.note(number);
                        Ok(())
                    }
                });
                worker.concurrency(8).start()
            })
            .collect::<Result<_, _>>()?;
        pass_until(&t, async || seen.all().len() == 30).await;
        assert!(most.load(Ordering::SeqCst) <= 2, "{most:?} at once");
        for worker in workers {
            worker.stop(PATIENCE).await;
        }
        Ok(())
    });
}

#[test]
fn a_pause_holds_for_all_and_ends_for_all() {
    for_each_topology(async |t| -> Done {
        let queue = numbers(&t).await;
        let other: Queue<u64> = Queue::builder("numbers")
            .store(&t.another_store().await)
            .build()
            .await?;
        assert!(other.pause().await? && !other.pause().await?);
        let seen = Seen::default();
        let worker = noting(&queue, &seen);
        queue.push(&1).await?;
        t.advance(40).await;
        assert_eq!(seen.all(), Vec::<u64>::new());
        let counts = queue.counts().await?;
        assert!(counts.is_paused && counts.waiting == 1, "{counts:?}");
        assert!(other.resume().await?);
        pass_until(&t, async || seen.all() == [1]).await;
        worker.stop(PATIENCE).await;
        Ok(())
    });
}

/// Three workers and one schedule, set by each of them: one job for each tick, none early.
#[test]
fn a_tick_makes_one_job_however_many_look() {
    for_each_topology(async |t| -> Done {
        let seen = Seen::default();
        let mut workers = Vec::new();
        for _ in 0..3 {
            let queue: Queue<u64> = Queue::builder("numbers")
                .store(&t.another_store().await)
                .build()
                .await?;
            queue.schedule("pulse", Schedule::every(t.units(4)), &7).await?;
            let worker = queue.worker({
                let seen = seen.clone();
                move |number, job| {
                    assert_eq!(number, 7);
                    let (_, due) = job.id().split_once('@').expect("a tick's id says when it was due");
                    seen.note(due.parse().expect("ms"));
                    async { Ok(()) }
                }
            });
            workers.push(worker.start()?);
        }
        pass_until(&t, async || seen.all().len() >= 5).await;
        let queue = numbers(&t).await;
        assert!(queue.unschedule("pulse").await? && !queue.unschedule("pulse").await?);
        for worker in workers {
            worker.stop(PATIENCE).await;
        }
        let (mut ticks, every) = (seen.all(), t.units(4).as_millis() as u64);
        let made = ticks.len();
        ticks.sort_unstable();
        ticks.dedup();
        assert_eq!(ticks.len(), made, "each once");
        assert!(
            ticks.iter().all(|due| due.is_multiple_of(every)),
            "{ticks:?} are multiples of {every} ms"
        );
        queue.purge().await?;
        no_immortal_keys(&t, 2);
        Ok(())
    });
}

/// It leaves nothing behind, and one that is ended neither.
#[test]
fn a_schedule_that_cannot_be_meant_is_refused() {
    for_each_topology(async |t| -> Done {
        let queue = numbers(&t).await;
        for wrong in [
            queue.schedule("s", Schedule::every(Duration::from_millis(1)), &1).await,
            queue.schedule("s", Schedule::cron("61 * * * *"), &1).await,
            queue.schedule("", Schedule::cron("@daily"), &1).await,
            queue.schedule("s", Schedule::cron("@daily").attempts(0), &1).await,
        ] {
            assert!(wrong.unwrap_err().is_config());
        }
        queue.schedule("s", Schedule::cron("@daily"), &1).await?;
        assert_eq!(queue.counts().await?.schedules, 1);
        assert!(queue.unschedule("s").await?);
        let keys: Vec<String> = t.store().await.keys("*").await.expect("the store answers");
        assert_eq!(keys, Vec::<String>::new());
        Ok(())
    });
}
