//! 30: 512 callers wait for one load, and whoever loads panics, is aborted, or is dropped in the middle. Plain code loads for
//! each of them; a lock round the load keeps them waiting until it runs out. In Larder the next of them loads, at once.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use larder_cache::Cache;
use larder_store::Store;
use larder_testkit::{
    Kind, eventually,
    naive::{CacheAside, LockAroundLoad},
};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};

use super::row::{Baseline, Turn, Verdict, row};
use crate::behaviour::subject::meanwhile;

const WAITERS: usize = 512;

/// Below the lease of 3 s, and below the 2 s of a lock: whoever waits for either stands out.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How the first loader ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Panics,
    IsAborted,
    IsDropped,
}

#[derive(Clone)]
enum Reader {
    Naive(CacheAside<Store>),
    Lock(LockAroundLoad<Store>),
    Larder(Cache<u64, u64>),
}

impl Reader {
    async fn new(baseline: Baseline, store: &Store) -> Self {
        match baseline {
            Baseline::Naive => Self::Naive(CacheAside::new(store.clone())),
            Baseline::Lock => Self::Lock(LockAroundLoad::new(store.clone(), store.clock().clone())),
            Baseline::Larder => {
                let cache = Cache::builder("stampede").store(store).ttl(Duration::from_secs(60));
                Self::Larder(cache.build().await.expect("the settings agree"))
            }
        }
    }

    async fn read(&self, load: impl Future<Output = u64> + Send) -> Option<u64> {
        match self {
            Self::Naive(cache) => cache.get("hot", &[], || load).await.ok(),
            Self::Lock(cache) => cache.get("hot", || load).await.ok(),
            Self::Larder(cache) => {
                let load = || async { Ok::<_, Infallible>(load.await) };
                cache.get_or_load(&1, load).await.ok().map(|value| *value)
            }
        }
    }
}

/// The source: nothing comes out of it before it is opened, and the first loader never gets anything.
#[derive(Default)]
struct Source {
    loads: AtomicUsize,
    callers: AtomicUsize,
    open: watch::Sender<bool>,
}

impl Source {
    async fn load(&self) -> u64 {
        let is_first = self.loads.fetch_add(1, Ordering::SeqCst) == 0;
        let opened = self.open.subscribe().wait_for(|open| *open).await.is_ok();
        assert!(opened && !is_first, "told to");
        7
    }

    fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }
}

async fn lost_leader(turn: Turn) -> Verdict {
    let mut verdict = Verdict::default();
    for end in [End::Panics, End::IsAborted, End::IsDropped] {
        let t = turn.topology().await;
        let reader = Reader::new(turn.baseline, &t.store().await).await;
        let source = Arc::new(Source::default());
        let ask = || {
            let (reader, source) = (reader.clone(), source.clone());
            async move {
                source.callers.fetch_add(1, Ordering::SeqCst);
                reader.read(source.load()).await
            }
        };
        let (dropped, drop_it) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let leader = tokio::spawn({
            let (first, dropped, drop_it) = (ask(), dropped.clone(), drop_it.clone());
            async move {
                tokio::select! {
                    _ = first => {}
                    () = drop_it.notified() => {}
                }
                dropped.notify_one();
                std::future::pending::<()>().await;
            }
        });
        eventually(Duration::from_secs(20), async || source.loads() == 1).await;
        let mut waiters: JoinSet<Option<u64>> = (0..WAITERS).map(|_| ask()).collect();
        eventually(Duration::from_secs(20), async || {
            source.callers.load(Ordering::SeqCst) == 1 + WAITERS
        })
        .await;

        let began = t.clock().monotonic();
        match end {
            End::Panics => {}
            End::IsAborted => leader.abort(),
            End::IsDropped => {
                // The task that held its future lives on.
                drop_it.notify_one();
                dropped.notified().await;
            }
        }
        source.open.send_replace(true);
        let answers = async {
            let mut right = 0;
            while let Some(answer) = waiters.join_next().await {
                right += usize::from(answer.is_ok_and(|answer| answer == Some(7)));
            }
            right
        };
        let right = meanwhile(&t, answers).await;
        let waited = t.clock().monotonic() - began;
        leader.abort();
        verdict.expect(right == WAITERS, format!("{end:?}: {right} of {WAITERS} answered"));
        verdict.expect(source.loads() <= 2, format!("{end:?}: {} loads", source.loads()));
        // Where the clock is moved by hand it tells what was waited for, and not how busy the machine was.
        if turn.kind != Kind::Redis {
            verdict.expect(waited < AT_ONCE, format!("{end:?}: waited {waited:?}"));
        }
    }
    verdict
}

#[test]
fn fault_30() {
    row(
        30,
        &[Baseline::Naive, Baseline::Lock],
        &[Kind::Embedded, Kind::Serve],
        lost_leader,
    );
}

#[test]
fn fault_30_on_redis() {
    row(30, &[Baseline::Naive], &[Kind::Redis], lost_leader);
}
