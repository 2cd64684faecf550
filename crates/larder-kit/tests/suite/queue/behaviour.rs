//! What workers do with jobs, on three topologies.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use larder_kit::queue::{JobFailure, JobState, Queue, QueueError};
use larder_store::{Store, redis};
use larder_testkit::{RedisServer, eventually, for_each_topology};
use tokio::sync::Semaphore;

use super::{PATIENCE, Seen, numbers, pass_until, settings};
use crate::immortal::no_immortal_keys;

type Done = Result<(), QueueError>;

/// Waits until nothing is left to do.
async fn emptied(t: &larder_testkit::Topology, queue: &Queue<u64>) {
    pass_until(t, async || queue.counts().await.is_ok_and(|counts| counts.lag() == 0)).await;
}

#[test]
fn every_job_is_done_once_and_nothing_lasts() {
    for_each_topology(async |t| -> Done {
        let queue = numbers(&t).await;
        let seen = Seen::default();
        let noting = seen.clone();
        let worker = queue
            .worker(move |number, job| {
                noting.note(number);
                assert_eq!(job.attempt(), 1);
                async { Ok(()) }
            })
            .concurrency(8)
            .start()?;
        queue.push(&0).await?;
        let jobs: Vec<u64> = (1..600).collect();
        let pushed = queue.push_many(&jobs).await;
        assert!(
            pushed
                .iter()
                .all(|pushed| pushed.as_ref().is_ok_and(|pushed| pushed.is_new))
        );
        emptied(&t, &queue).await;
        let stopped = worker.stop(PATIENCE).await;
        assert_eq!((stopped.given_back, stopped.untold), (0, 0));
        let mut all = seen.all();
        all.sort_unstable();
        assert_eq!(all, (0..600).collect::<Vec<_>>());
        assert_eq!(queue.counts().await?.done, 600);
        no_immortal_keys(&t, 601);
        Ok(())
    });
}

/// An idle worker hears of a job: its own look would come only after an hour.
#[test]
fn an_idle_worker_is_told_of_a_new_job() {
    for_each_topology(async |t| -> Done {
        let queue = numbers(&t).await;
        let seen = Seen::default();
        let noting = seen.clone();
        let worker = queue
            .worker(move |number, _| {
                noting.note(number);
                async { Ok(()) }
            })
            .poll(Duration::from_secs(3_600))
            .start()?;
        for number in 0..3 {
            queue.push(&number).await?;
            eventually(PATIENCE, async || seen.all().len() as u64 == number + 1).await;
        }
        worker.stop(PATIENCE).await;
        Ok(())
    });
}

#[test]
fn what_fails_is_tried_again_until_it_is_dead_and_can_be_replayed() {
    for_each_topology(async |t| -> Done {
        let queue = numbers(&t).await;
        let works = Arc::new(AtomicU64::new(0));
        let tried = works.clone();
        let worker = queue
            .worker(move |number, job| {
                let tried = tried.clone();
                async move {
                    match number {
                        1 if job.attempt() < 3 => Err("x".parse::<u8>().map_err(JobFailure::from).unwrap_err()),
                        2 if tried.load(Ordering::SeqCst) == 0 => Err(JobFailure::retry("not today")),
                        3 if tried.load(Ordering::SeqCst) == 0 => Err(JobFailure::dead("never")),
                        4 if tried.load(Ordering::SeqCst) == 0 => panic!("a handler's mistake"),
                        _ => Ok(()),
                    }
                }
            })
            .concurrency(4)
            .start()?;
        for number in 1..=4 {
            queue
                .push_with(&number, |o| o.id(format!("job-{number}")).attempts(3))
                .await?;
        }
        emptied(&t, &queue).await;
        let mut letters = queue.dead_letters(0, 10).await?;
        letters.sort_by(|one, other| one.id.cmp(&other.id));
        let said: Vec<(&str, u32, Option<&str>)> = letters
            .iter()
            .map(|letter| (&*letter.id, letter.attempts, letter.reason.as_deref()))
            .collect();
        assert_eq!(
            said,
            [
                ("job-2", 3, Some("not today")),
                ("job-3", 1, Some("never")),
                ("job-4", 3, Some("the handler panicked"))
            ]
        );
        assert_eq!(letters[0].job::<u64>(), Some(Ok(2)));
        assert_eq!(
            queue.job("job-1").await?.map(|job| (job.state, job.attempts)),
            Some((JobState::Done, 3))
        );

        works.store(1, Ordering::SeqCst);
        assert!(queue.replay("job-3").await?);
        assert!(!queue.replay("job-1").await?, "it is not dead");
        assert_eq!(queue.replay_all().await?, 2);
        emptied(&t, &queue).await;
        assert_eq!(queue.counts().await?.dead, 0);
        worker.stop(PATIENCE).await;
        no_immortal_keys(&t, 5);
        Ok(())
    });
}

/// A payload that is no job of this type is a dead letter with its reason, and shown as it is.
#[test]
fn what_cannot_be_read_is_dead() {
    for_each_topology(async |t| -> Done {
        let texts: Queue<String> = Queue::builder("numbers").store(&t.store().await).build().await?;
        texts.push_with(&"seven".to_owned(), |o| o.id("text")).await?;
        let queue = numbers(&t).await;
        let worker = queue.worker(async |_, _| Ok(())).start()?;
        pass_until(&t, async || queue.counts().await.is_ok_and(|counts| counts.dead == 1)).await;
        let letter = queue.job("text").await?.expect("it is kept");
        assert!(
            letter
                .reason
                .as_deref()
                .is_some_and(|why| why.starts_with("undecodable")),
            "{letter:?}"
        );
        assert_eq!(letter.json(), Some(br#""seven""#.as_slice()));
        assert_eq!(queue.purge_dead().await?, 1);
        worker.stop(PATIENCE).await;
        no_immortal_keys(&t, 0);
        Ok(())
    });
}

#[test]
fn a_delayed_job_waits_for_its_time_and_no_longer() {
    for_each_topology(async |t| -> Done {
        let queue = numbers(&t).await;
        let began = t.clock().unix();
        let at = Arc::new(AtomicU64::new(0));
        let (noting, clock) = (at.clone(), t.clock().clone());
        let worker = queue
            .worker(move |_, _| {
                noting.store(clock.unix().as_millis() as u64, Ordering::SeqCst);
                async { Ok(()) }
            })
            .poll(Duration::from_secs(3_600))
            .start()?;
        queue
            .push_with(&1, |o| o.at(UNIX_EPOCH + began + t.units(6)).delay(t.units(2)))
            .await?;
        let counts = queue.counts().await?;
        assert_eq!((counts.delayed, counts.waiting), (1, 0));
        pass_until(&t, async || at.load(Ordering::SeqCst) > 0).await;
        let due = (began + t.units(6)).as_millis() as u64;
        assert!(at.load(Ordering::SeqCst) >= due, "never early");
        worker.stop(PATIENCE).await;
        Ok(())
    });
}

#[test]
fn a_deadline_ends_what_waits_and_what_runs() {
    for_each_topology(async |t| -> Done {
        let queue = numbers(&t).await;
        queue.push_with(&1, |o| o.id("late").deadline(t.units(2))).await?;
        t.advance(4).await;
        queue.push_with(&2, |o| o.id("slow").deadline(t.units(60))).await?;
        let seen = Seen::default();
        let noting = seen.clone();
        let worker = queue
            .worker(move |number, _| {
                noting.note(number);
                std::future::pending()
            })
            .start()?;
        eventually(PATIENCE, async || seen.all().len() == 1).await;
        pass_until(&t, async || queue.counts().await.is_ok_and(|counts| counts.dead == 2)).await;
        assert_eq!(seen.all(), [2], "what is late does not begin");
        let reasons: Vec<Option<String>> = queue
            .dead_letters(0, 9)
            .await?
            .into_iter()
            .map(|letter| letter.reason)
            .collect();
        assert!(
            reasons.iter().flatten().all(|why| why.starts_with("deadline")),
            "{reasons:?}"
        );
        worker.stop(PATIENCE).await;
        Ok(())
    });
}

#[test]
fn an_attempt_that_takes_too_long_is_dropped_and_tried_again() {
    for_each_topology(async |t| -> Done {
        let queue = numbers(&t).await;
        let worker = queue
            .worker(|_, job| async move {
                if job.attempt() == 1 {
                    std::future::pending::<()>().await;
                }
                Ok(())
            })
            .job_timeout(t.units(3))
            .start()?;
        queue.push_with(&1, |o| o.id("slow")).await?;
        emptied(&t, &queue).await;
        let job = queue.job("slow").await?.expect("it is kept");
        assert!(job.state == JobState::Done && job.attempts >= 2, "{job:?}");
        worker.stop(PATIENCE).await;
        Ok(())
    });
}

/// A worker that stops lets what runs go on until its deadline, and gives the rest back at once: another takes it without
/// waiting for a visibility timeout, which here never ends.
#[test]
fn a_stopped_worker_finishes_or_gives_back() {
    for_each_topology(async |t| -> Done {
        let queue = settings(&t)
            .await
            .visibility(Duration::from_secs(86_400))
            .build()
            .await?;
        let (gate, seen) = (Arc::new(Semaphore::new(0)), Seen::default());
        let (waiting, noting) = (gate.clone(), seen.clone());
        let worker = queue
            .worker(move |number, _| {
                noting.note(number);
                let waiting = waiting.clone();
                async move {
                    match number {
                        1 => drop(waiting.acquire().await),
                        _ => std::future::pending().await,
                    }
                    Ok(())
                }
            })
            .concurrency(2)
            .start()?;
        for number in 1..=3 {
            queue.push_with(&number, |o| o.id(number.to_string())).await?;
        }
        pass_until(&t, async || seen.all().len() == 2).await;
        let stopping = tokio::spawn(worker.stop(t.units(80)));
        gate.add_permits(1);
        eventually(PATIENCE, async || {
            queue
                .job("1")
                .await
                .is_ok_and(|job| job.is_some_and(|job| job.state == JobState::Done))
        })
        .await;
        pass_until(&t, async || stopping.is_finished()).await;
        let stopped = stopping.await.expect("it does not panic");
        assert_eq!((stopped.finished, stopped.given_back, stopped.untold), (1, 1, 0));
        assert_eq!(seen.all().len(), 2, "it took no more");
        let given_back = queue.job("2").await?.expect("it is there");
        assert_eq!((given_back.state, given_back.attempts), (JobState::Waiting, 0));

        let noting = seen.clone();
        let worker = queue
            .worker(move |number, job| {
                noting.note(number * 10 + u64::from(job.attempt()));
                async { Ok(()) }
            })
            .start()?;
        emptied(&t, &queue).await;
        assert_eq!(seen.all()[2..], [21, 31]);
        worker.stop(PATIENCE).await;
        no_immortal_keys(&t, 4);
        Ok(())
    });
}

/// A worker that stands still is overtaken: its handler is dropped, and what it says afterwards changes nothing.
#[test]
fn an_overtaken_worker_hears_of_it_and_completes_nothing() {
    for_each_topology(async |t| -> Done {
        let queue = settings(&t).await.visibility(t.units(60)).build().await?;
        let (lost, seen) = (Seen::default(), Seen::default());
        let (losing, noting) = (lost.clone(), seen.clone());
        let worker = queue
            .worker(move |number, job| {
                noting.note(number);
                let losing = losing.clone();
                async move {
                    if job.attempt() > 1 {
                        return Ok(());
                    }
                    let watch = job.clone();
                    tokio::spawn(async move {
                        watch.lost().await;
                        losing.note(1);
                    });
                    std::future::pending().await
                }
            })
            .start()?;
        queue.push_with(&7, |o| o.id("seven")).await?;
        eventually(PATIENCE, async || !seen.all().is_empty()).await;
        let mut wire = t.wire();
        // As a worker does that found it silent.
        wire.call(&["HDEL", "queue:{numbers:}:job:seven", "tok"])
            .expect("taken");
        wire.call(&["ZADD", "queue:{numbers:}:run", "1", "seven"])
            .expect("stalled");
        pass_until(&t, async || !lost.all().is_empty()).await;
        emptied(&t, &queue).await;
        let job = queue.job("seven").await?.expect("it is kept");
        assert!(
            job.state == JobState::Done && job.attempts >= 2,
            "another attempt completed it: {job:?}"
        );
        worker.stop(PATIENCE).await;
        Ok(())
    });
}

/// However long a job takes, it stays with its worker as long as that lives; and says how far it is.
#[test]
fn a_long_job_is_renewed_by_itself_and_tells_its_progress() {
    for_each_topology(async |t| -> Done {
        // A real clock waits for a third of it; one that is moved by hand must not overtake the tasks.
        let visibility = if t.clock().as_manual().is_some() {
            t.units(400)
        } else {
            t.units(240)
        };
        let queue = settings(&t).await.visibility(visibility).build().await?;
        let (gate, seen) = (Arc::new(Semaphore::new(0)), Seen::default());
        let (waiting, noting) = (gate.clone(), seen.clone());
        let worker = queue
            .worker(move |number, job| {
                noting.note(number);
                let waiting = waiting.clone();
                async move {
                    job.heartbeat().await?;
                    job.progress(0.25).await?;
                    drop(waiting.acquire().await);
                    Ok(())
                }
            })
            .concurrency(2)
            .start()?;
        queue.push_with(&1, |o| o.id("long")).await?;
        pass_until(&t, async || {
            queue
                .job("long")
                .await
                .is_ok_and(|job| job.is_some_and(|job| job.progress == Some(0.25)))
        })
        .await;
        let began = t.clock().monotonic();
        pass_until(&t, async || t.clock().monotonic() - began > visibility + t.units(5)).await;
        assert_eq!(seen.all(), [1], "nobody took it over");
        gate.add_permits(1);
        emptied(&t, &queue).await;
        let job = queue.job("long").await?.expect("it is kept");
        assert_eq!((job.state, job.attempts), (JobState::Done, 1));
        worker.stop(PATIENCE).await;
        Ok(())
    });
}

#[test]
fn what_cannot_be_pushed_is_refused_and_says_why() {
    for_each_topology(async |t| -> Done {
        let queue = settings(&t).await.capacity(2).payload_max(4).build().await?;
        assert!(queue.push(&1).await?.is_new && queue.push_with(&2, |o| o.id("two")).await?.is_new);
        assert!(queue.push(&3).await.unwrap_err().is_full());
        assert!(
            !queue.push_with(&2, |o| o.id("two")).await?.is_new,
            "one that is there needs no room"
        );
        assert!(matches!(queue.push(&123_456).await, Err(QueueError::Payload(_))));
        for wrong in [
            queue.push_with(&1, |o| o.id("")).await,
            queue.push_with(&1, |o| o.id("a\nb")).await,
            queue.push_with(&1, |o| o.group("x".repeat(201))).await,
            queue.push_with(&1, |o| o.attempts(0)).await,
            queue.push_with(&1, |o| o.deadline(Duration::ZERO)).await,
        ] {
            assert!(wrong.unwrap_err().is_config());
        }
        let many = queue.push_many(&[4, 123_456, 5]).await;
        let told: Vec<bool> = many
            .iter()
            .map(|pushed| pushed.as_ref().is_err_and(QueueError::is_full))
            .collect();
        assert_eq!(told, [true, false, true]);
        assert_eq!(queue.purge().await?, 2);
        no_immortal_keys(&t, 0);
        Ok(())
    });
}

#[test]
fn a_queue_that_cannot_be_meant_is_not_built() {
    for_each_topology(async |t| {
        let store = t.store().await;
        let of = || Queue::<u64>::builder("q").store(&store);
        for wrong in [
            Queue::<u64>::builder("q").build().await,
            Queue::<u64>::builder("Q").store(&store).build().await,
            of().visibility(Duration::from_millis(1)).build().await,
            of().attempts(0).build().await,
            of().backoff(Duration::from_secs(2), Duration::from_secs(1))
                .build()
                .await,
            of().capacity(0).build().await,
            of().payload_max(0).build().await,
        ] {
            assert!(wrong.unwrap_err().is_config());
        }
        let queue = of().build().await.expect("this one can");
        assert!(
            queue
                .worker(async |_, _| Ok(()))
                .concurrency(0)
                .start()
                .unwrap_err()
                .is_config()
        );
    });
}

/// A store that evicts what it likes is refused when the queue is built.
#[tokio::test]
async fn a_store_that_evicts_jobs_is_refused() {
    let server = RedisServer::start().await;
    let mut store = Store::open(&server.url()).await.expect("the server is there");
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("maxmemory-policy");
    for (policy, is_refused) in [("allkeys-lru", true), ("volatile-lru", false), ("noeviction", false)] {
        set.clone().arg(policy).exec_async(&mut store).await.expect("it is set");
        let built = Queue::<u64>::builder("q").store(&store).build().await;
        assert_eq!(
            built.as_ref().is_err_and(QueueError::is_config),
            is_refused,
            "{policy}: {built:?}"
        );
    }
}
