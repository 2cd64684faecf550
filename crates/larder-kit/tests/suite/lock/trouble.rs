//! Servers that are out of reach, come back empty, or hold something else.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use larder_base::Clock;
use larder_kit::lock::{Election, Lock, LockError, Loss, Semaphore, StoreLock};
use larder_store::{Store, StoreConfig};
use larder_testkit::{Proxy, RedisServer, Topology, eventually, for_each_topology};
use redis::AsyncCommands as _;

use super::{DEADLINE, watched};

async fn client(port: u16) -> Store {
    Store::connect(StoreConfig::tcp("127.0.0.1", port))
        .await
        .expect("it was just started")
}

#[test]
fn who_is_taken_the_lock_hears_of_it() {
    for_each_topology(async |t: Topology| {
        let mut store = t.store().await;
        let guard = watched(&t, &store).acquire(&1).await?;
        t.advance(1).await;
        store.flushall::<()>().await.expect("it is a server for tests");
        assert_eq!(t.while_time_passes(guard.lost()).await, Loss::Taken);
        let stopped = guard.run(std::future::pending::<()>()).await;
        assert!(stopped.expect_err("it is another's").is_lost());
        Ok::<_, LockError>(())
    });
}

#[test]
fn a_key_of_another_program_is_named() {
    for_each_topology(async |t: Topology| {
        let store = t.store().await;
        let mut wire = t.wire();
        wire.call(&["RPUSH", "lock:{invoices:1}", "x"]).expect("it is free");
        let error = watched(&t, &store).acquire(&1).await.expect_err("no lock");
        assert!(error.to_string().contains("another namespace"), "{error}");
        wire.call(&["SET", "semaphore:{exports:1}", "x"]).expect("it is free");
        let semaphore = Semaphore::builder("exports", 1).store(&store).build()?;
        let error = semaphore.try_acquire(&1).await.expect_err("no permit");
        assert!(
            error.to_string().contains("another namespace") && !error.is_store_down(),
            "{error}"
        );
        Ok::<_, LockError>(())
    });
}

#[tokio::test]
async fn an_error_says_what_is_wrong_with_the_store() {
    let away = Store::lazy("redis://127.0.0.1:1?max_attempts=1").expect("the URL is right");
    let locks = StoreLock::builder("invoices").store(&away).build();
    let error = locks.expect("builds").acquire(&1).await.expect_err("nobody listens");
    assert!(
        error.to_string().contains("could not connect to 127.0.0.1:1"),
        "{error}"
    );
}

/// In a failover clients may reach the new server before it is the primary.
#[tokio::test]
async fn a_candidate_outlasts_a_failover() {
    let primary = RedisServer::start().await;
    let replica = RedisServer::start_replica_of(primary.port()).await;
    let store = client(replica.port()).await;
    let election = Election::builder("jobs", "one").store(&store).build().expect("builds");
    let refused = election.try_campaign("nightly").await.expect_err("it is a replica");
    assert!(refused.to_string().contains("read only"), "{refused}");
    let campaign = tokio::spawn(async move { election.campaign("nightly").await.map(drop) });
    // More than the store's own attempts come to: the campaign goes on.
    let refusals = || {
        let stats = replica.cli(&["INFO", "errorstats"]);
        let count = stats
            .lines()
            .find_map(|line| line.strip_prefix("errorstat_READONLY:count="));
        count.map_or(0, |count| count.trim().parse::<u32>().expect("a number"))
    };
    eventually(DEADLINE, async || refusals() > 20).await;
    replica.promote();
    campaign.await.expect("no panic").expect("it is elected in the end");
}

/// Real time and a real network: no effect of the one who was cut off comes after another was granted the lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_cut_off_by_the_network_stops_in_time() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await.expect("loopback has a port");
    let ttl = Duration::from_secs(1);
    let locks = |store: &Store| {
        StoreLock::builder("invoices")
            .store(store)
            .ttl(ttl)
            .build()
            .expect("good settings")
    };
    let (cut_off, other) = (locks(&client(proxy.port()).await), locks(&client(server.port()).await));
    let guard = cut_off.acquire(&1).await.expect("it is free");

    let effects = Arc::new(Mutex::new(Vec::new()));
    let written = effects.clone();
    let holder = tokio::spawn(async move {
        let clock = Clock::system();
        let work = async {
            loop {
                written.lock().expect("nobody panics").push(clock.monotonic());
                clock.sleep(Duration::from_millis(1)).await;
            }
        };
        guard
            .run::<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>>(Box::pin(work))
            .await
    });
    eventually(DEADLINE, async || !effects.lock().expect("nobody panics").is_empty()).await;
    proxy.swallow_requests();
    proxy.swallow_replies();
    let second = other.acquire(&1).await.expect("the lease ends");
    let granted = Clock::system().monotonic();
    let stopped = holder.await.expect("no panic").expect_err("it is lost");
    assert!(
        matches!(
            stopped,
            LockError::Lost {
                loss: Loss::Expired,
                ..
            }
        ),
        "{stopped:?}"
    );
    let effects = effects.lock().expect("nobody panics");
    let late = effects.iter().filter(|effect| **effect > granted).count();
    assert_eq!(late, 0, "of {}", effects.len());
    drop(second);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_empty_numbers_on_and_grace_waits() {
    let mut server = RedisServer::start().await;
    let store = client(server.port()).await;
    let locks = |store: &Store| StoreLock::builder("invoices").store(store).ttl(Duration::from_secs(30));
    let plain = locks(&store).build().expect("good settings");
    let careful = locks(&store)
        .grace(Duration::from_secs(3_600))
        .build()
        .expect("good settings");
    let brief = locks(&store)
        .grace(Duration::from_millis(100))
        .build()
        .expect("good settings");
    // A fresh store never waits.
    let first = careful.acquire(&1).await.expect("it is free");
    brief
        .acquire(&2)
        .await
        .expect("it is free")
        .release()
        .await
        .expect("it is held");
    let before = first.fence();

    server.restart_empty().await;
    eventually(DEADLINE, async || store.ping().await.is_ok()).await;
    let error = careful
        .acquire_within(&3, Duration::from_millis(20))
        .await
        .expect_err("holders of before may live");
    assert!(error.is_busy(), "{error:?}");
    let second = plain.acquire(&1).await.expect("the server knows of nobody");
    assert!(second.fence() > before, "the fence grows over an empty restart");
    eventually(DEADLINE, async || {
        brief.try_acquire(&2).await.is_ok_and(|guard| guard.is_some())
    })
    .await;
    // A client that knows of no other server has nothing to wait for.
    let fresh = client(server.port()).await;
    let fresh = locks(&fresh)
        .grace(Duration::from_secs(3_600))
        .build()
        .expect("good settings");
    assert!(fresh.try_acquire(&4).await.expect("it answers").is_some());
    assert!(first.release().await.is_ok_and(|released| !released.was_held()));
}
