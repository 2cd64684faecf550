//! Semaphores, readers and writers, leaders.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use larder_base::{Clock, Random};
use larder_engine::Engine;
use larder_kit::lock::{Election, Leader, Lock, LockError, ReadWriteLock, Released, Semaphore};
use larder_store::{Fate, Passage, Store, Stuck, Transit};
use larder_testkit::{Topology, eventually, for_each_topology};
use redis::AsyncCommands as _;

use super::{DEADLINE, TTL, network::on_one_thread};
use crate::immortal::no_immortal_keys;

async fn semaphores(t: &Topology, permits: u32, watches: bool) -> Semaphore {
    let builder = Semaphore::builder("exports", permits).store(&t.another_store().await);
    let builder = builder.ttl(t.units(TTL)).watchdog(watches);
    builder.build().expect("the settings are good")
}

async fn sheets(t: &Topology) -> ReadWriteLock {
    let builder = ReadWriteLock::builder("sheets").store(&t.another_store().await);
    let builder = builder.ttl(t.units(TTL)).watchdog(false);
    builder.build().expect("the settings are good")
}

async fn candidate(t: &Topology, name: &str, watches: bool) -> Election {
    let builder = Election::builder("jobs", name).store(&t.another_store().await);
    let builder = builder.ttl(t.units(TTL)).watchdog(watches);
    builder.build().expect("the settings are good")
}

#[test]
fn a_semaphore_has_so_many_holders_and_each_a_lease_of_its_own() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (semaphores(&t, 3, false).await, semaphores(&t, 3, false).await);
        let first = here.acquire(&1).await?;
        t.advance(TTL / 2).await;
        let second = there.acquire(&1).await?;
        let third = here.acquire(&1).await?;
        assert!(first.fence().is_none());
        assert!(there.try_acquire(&1).await?.is_none(), "three of three");
        assert!(there.try_acquire(&2).await?.is_some(), "of this key alone");
        no_immortal_keys(&t, 1);
        second.release().await?;
        let fourth = there.try_acquire(&1).await?.expect("one was given back");
        // The first one lapses alone.
        t.while_time_passes(first.lost()).await;
        let fifth = t.while_time_passes(here.acquire(&1)).await?;
        assert!(there.try_acquire(&1).await?.is_none());
        third.check()?;
        assert_eq!(
            first.release().await?,
            Released::NotHeld,
            "and cannot give back another's"
        );
        assert!(there.try_acquire(&1).await?.is_none());
        for permit in [third, fourth, fifth] {
            permit.release().await?;
        }
        Ok::<_, LockError>(())
    });
}

#[test]
fn a_permit_is_renewed_and_its_loss_is_told() {
    for_each_topology(async |t: Topology| {
        let mut store = t.store().await;
        let permit = semaphores(&t, 1, true).await.acquire(&1).await?;
        let half = t.units(TTL / 2);
        for _ in 0..2 * TTL {
            t.advance(1).await;
            eventually(DEADLINE, async || permit.check().is_err() || permit.remaining() > half).await;
            permit.check()?;
        }
        store.flushall::<()>().await.expect("it is a server for tests");
        let stopped = t.while_time_passes(permit.run(std::future::pending::<()>())).await;
        assert!(stopped.expect_err("the permit is gone").is_lost());
        Ok::<_, LockError>(())
    });
}

#[test]
fn readers_are_many_and_a_writer_is_alone() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (sheets(&t).await, sheets(&t).await);
        let (one, other) = (here.reading().acquire(&7).await?, there.reading().acquire(&7).await?);
        assert!(here.writing().try_acquire(&7).await?.is_none(), "somebody reads");
        assert!(there.writing().try_acquire(&8).await?.is_some(), "of this key alone");
        assert!(one.fence().is_none());
        one.release().await?;
        assert!(
            here.writing().try_acquire(&7).await?.is_none(),
            "somebody else still reads"
        );
        other.release().await?;
        let writer = here.writing().try_acquire(&7).await?.expect("nobody reads");
        assert!(there.writing().try_acquire(&7).await?.is_none());
        assert!(there.reading().try_acquire(&7).await?.is_none());
        no_immortal_keys(&t, 1);
        let first = writer.fence();
        writer.release().await?;
        let reader = there.reading().try_acquire(&7).await?.expect("nobody writes");
        // A reader that died keeps writers out for as long as its lease.
        let writer = t.while_time_passes(here.writing().acquire(&7)).await?;
        assert!(reader.check().is_err(), "it knows before the writer begins");
        assert!(writer.fence() > first);
        Ok::<_, LockError>(())
    });
}

#[test]
fn readers_who_come_and_go_do_not_keep_a_writer_out() {
    for_each_topology(async |t: Topology| {
        let (readers, writers) = (sheets(&t).await, sheets(&t).await);
        let mut reading = readers.reading().acquire(&7).await?;
        // Who does not wait keeps nobody out.
        assert!(writers.writing().try_acquire(&7).await?.is_none());
        let next = readers.reading().try_acquire(&7).await?;
        std::mem::replace(&mut reading, next.expect("no writer waits"))
            .release()
            .await?;

        let coming = async {
            // For ever: there is always a reader, if readers are let in.
            loop {
                if let Some(next) = readers.reading().try_acquire(&7).await? {
                    std::mem::replace(&mut reading, next).release().await?;
                } else if reading.check().is_ok() {
                    // It was not let in because a writer waits: then the last one goes, too.
                    let next = t.while_time_passes(readers.reading().acquire(&7)).await?;
                    std::mem::replace(&mut reading, next).release().await?;
                }
                t.advance(1).await;
            }
            #[expect(unreachable_code, reason = "it says what goes wrong")]
            Ok::<(), LockError>(())
        };
        let writer = tokio::select! {
            biased;
            writer = writers.writing().acquire(&7) => writer?,
            error = coming => return error,
        };
        writer.check()
    });
}

#[test]
fn one_leads_and_others_see_who() {
    for_each_topology(async |t: Topology| {
        let (one, other) = (candidate(&t, "one", false).await, candidate(&t, "other", false).await);
        let mut watch = other.watch("nightly");
        assert_eq!(watch.next().await?, None, "nobody yet");
        let leads = one.campaign("nightly").await?;
        let seen = t.while_time_passes(watch.next()).await?.expect("somebody leads");
        assert_eq!(
            seen,
            Leader {
                name: "one".into(),
                term: leads.term()
            }
        );
        assert!(other.try_campaign("nightly").await?.is_none());
        leads.extend().await?;
        no_immortal_keys(&t, 2);
        let first = leads.term();
        assert!(leads.resign().await?.was_held());
        assert_eq!(other.leader("nightly").await?, None);
        let leads = other.try_campaign("nightly").await?.expect("the first resigned");
        assert!(leads.term() > first);
        assert_eq!(
            one.leader("nightly").await?.map(|leader| leader.name),
            Some("other".into())
        );
        Ok::<_, LockError>(())
    });
}

#[test]
fn who_waits_leads_when_the_leader_is_silent() {
    for_each_topology(async |t: Topology| {
        let (one, other) = (candidate(&t, "one", false).await, candidate(&t, "other", false).await);
        let silent = one.campaign("nightly").await?;
        let leads = t.while_time_passes(other.campaign("nightly")).await?;
        assert!(silent.check().is_err(), "the silent one knows before");
        assert!(leads.term() > silent.term());
        Ok::<_, LockError>(())
    });
}

#[test]
fn work_of_a_leader_is_begun_again_with_each_term() {
    for_each_topology(async |t: Topology| {
        let mut store = t.store().await;
        let leader = candidate(&t, "one", true).await;
        let (began, mut terms) = tokio::sync::mpsc::channel(4);
        let leading = leader.run_while_leader("nightly", |term| {
            let began = began.clone();
            async move {
                began.send(term).await.expect("the test listens");
                std::future::pending::<()>().await;
            }
        });
        let script = async {
            let first = terms.recv().await.expect("it leads");
            t.advance(1).await;
            store.flushall::<()>().await.expect("it is a server for tests");
            let second = t.while_time_passes(terms.recv()).await.expect("it leads again");
            assert!(second > first);
        };
        tokio::select! {
            biased;
            done = leading => panic!("the work does not end: {done:?}"),
            () = script => {}
        }
        let done = t
            .while_time_passes(leader.run_while_leader("other", |term| async move { term.get() }))
            .await?;
        assert!(done > 0, "work that ends gives its result");
        Ok::<_, LockError>(())
    });
}

#[test]
fn a_leader_has_a_name_and_a_semaphore_a_permit() {
    for_each_topology(async |t: Topology| {
        let store = t.store().await;
        let nameless = Election::builder("jobs", "").store(&store).build();
        assert!(nameless.expect_err("no name").is_config());
        let closed = Semaphore::builder("exports", 0).store(&store).build();
        assert!(closed.expect_err("no permit").is_config());
        let long = Semaphore::builder("exports", 1)
            .store(&store)
            .ttl(Duration::from_secs(90_000));
        assert!(long.build().expect_err("longer than a day").is_config());
    });
}

/// Counts what is asked.
#[derive(Debug, Default)]
struct Asked(AtomicU32);

impl Transit for Asked {
    fn request<'a>(&'a self, _command: &'a str) -> Passage<'a, Fate> {
        assert!(self.0.fetch_add(1, Relaxed) < 1_000, "it asks without a pause");
        Box::pin(async { Fate::Arrives })
    }

    fn reply<'a>(&'a self, _command: &'a str) -> Passage<'a, ()> {
        Box::pin(async {})
    }

    fn stuck(&self, _request: Stuck) {}
}

#[test]
fn a_candidate_pauses_however_short_its_wait_is() {
    on_one_thread(async {
        let (clock, _hand) = Clock::manual();
        let (engine, asked) = (Engine::builder().clock(clock).build(), Arc::<Asked>::default());
        let through = Store::embedded_through(engine.clone(), Random::seeded(3), asked.clone());
        let stands = |name: &str, store: &Store| {
            let builder = Election::builder("jobs", name).store(store).wait(Duration::ZERO);
            builder.build().expect("the settings are good")
        };
        let leader = stands("one", &Store::embedded(engine));
        let _leads = leader.campaign(&1).await.expect("nobody leads");
        let second = stands("two", &through);
        let mut campaign = pin!(second.campaign(&1));
        let passing = async {
            for _ in 0..32 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            _ = &mut campaign => panic!("the other one leads"),
            () = passing => {}
        }
        assert_eq!(asked.0.load(Relaxed), 1);
    });
}
