//! A holder that runs, and whose store is out of reach: its work is stopped before the store grants the lock to another. By hand
//! it goes on beside the next one's.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use larder_base::Clock;
use larder_kit::lock::{Lock as _, StoreLock};
use larder_store::Store;
use larder_testkit::{Proxy, RedisServer, eventually, history::Moment, naive::SetNxLock};

use super::process::{now, open};

/// Locked at a time, all by the same process.
const KEYS: u64 = 8;

/// Long enough that a machine which is busy with much else does not look like one that stands still.
const TTL: Duration = Duration::from_secs(2);

const SOON: Duration = Duration::from_secs(60);

/// Work that never ends by itself: when its last step was.
#[derive(Clone, Default)]
struct Steps(Arc<AtomicU64>);

impl Steps {
    async fn go_on(self) {
        loop {
            self.0.store(now(), SeqCst);
            Clock::system().sleep(Duration::from_millis(1)).await;
        }
    }

    fn last(&self) -> Moment {
        self.0.load(SeqCst)
    }
}

/// A holder behind a network that swallows what it asks, from when all its locks are granted.
struct Stage {
    _server: RedisServer,
    proxy: Proxy,
    cut_off: Store,
    next: Store,
}

impl Stage {
    async fn new() -> Self {
        let server = RedisServer::start().await;
        let proxy = Proxy::start(server.port()).await.expect("a port is free");
        Self {
            cut_off: open(&proxy.url()).await,
            next: open(&server.url()).await,
            proxy,
            _server: server,
        }
    }
}

/// When the attempt was sent that was granted.
async fn granted_after(mut attempt: impl AsyncFnMut() -> bool) -> Moment {
    let mut sent = 0;
    eventually(SOON, async || {
        sent = now();
        attempt().await
    })
    .await;
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_hand_work_goes_on_beside_that_of_the_next_holder() {
    let stage = Stage::new().await;
    let (lock, next) = (
        SetNxLock::new(stage.cut_off.clone(), TTL),
        SetNxLock::new(stage.next.clone(), TTL),
    );
    assert!(lock.try_acquire("7").await.expect("it answers"));
    stage.proxy.swallow_requests();
    let steps = Steps::default();
    let work = tokio::spawn(steps.clone().go_on());
    let sent = granted_after(async || next.try_acquire("7").await.expect("it answers")).await;
    eventually(SOON, async || steps.last() > sent).await;
    work.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_is_stopped_before_the_store_grants_the_lock_again() {
    let stage = Stage::new().await;
    let lock = |store: &Store| {
        StoreLock::builder("stopped")
            .store(store)
            .ttl(TTL)
            .build()
            .expect("the settings are right")
    };
    let (lock, next) = (lock(&stage.cut_off), lock(&stage.next));
    let mut working = Vec::new();
    for key in 0..KEYS {
        let guard = lock.acquire(&key).await.expect("it is free");
        let steps = Steps::default();
        let work = steps.clone().go_on();
        working.push((key, steps, tokio::spawn(async move { guard.run(work).await })));
    }
    eventually(SOON, async || working.iter().all(|(_, steps, _)| steps.last() > 0)).await;
    stage.proxy.swallow_requests();
    for (key, steps, work) in working {
        let mut guard = None;
        let sent = granted_after(async || {
            guard = next.try_acquire(&key).await.expect("it answers");
            guard.is_some()
        })
        .await;
        let (last, stopped) = (steps.last(), work.await.expect("no panic"));
        assert!(stopped.is_err_and(|lost| lost.is_lost()), "key {key}");
        assert!(
            last < sent,
            "key {key}: the last step came {} ns after the next holder asked",
            last - sent
        );
        assert_eq!(steps.last(), last, "key {key}");
    }
}
