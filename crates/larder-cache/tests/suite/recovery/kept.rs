//! Pending invalidations on disk: a process that dies with some is started again, and nothing it had reported is forgotten.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use larder_cache::{Cache, CacheBuilder, Error, ErrorKind, PendingLog};
use larder_store::{Store, StoreConfig};
use larder_testkit::{
    Case, LarderServer, Proxy, RedisServer, SimDisk, Trouble, eventually,
    worker::{self, Worker},
};
use redis::AsyncCommands as _;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// Bounds a hang and nothing else.
const SOON: Duration = Duration::from_secs(60);

const ENTRY: &str = "recovery::kept::dying_worker";

/// The row, in the same server: who writes it is no cache.
const ROW: &str = "kept:row";

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    /// The way to the store that is cut.
    store: String,
    database: String,
    folder: Option<PathBuf>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Said {
    Cached,
    Pending { is_kept: bool },
}

async fn open(job: &Job, url: &str) -> Cache<u64, u64> {
    let config = StoreConfig::from_url(&format!("{url}?max_attempts=1")).unwrap();
    let store = Store::connect(config).await.unwrap();
    let builder = Cache::builder("kept").store(&store).ttl(Duration::from_secs(3600));
    let builder = match &job.folder {
        Some(folder) => builder.keep_pending(PendingLog::new(folder)),
        None => builder,
    };
    builder.build().await.unwrap()
}

async fn read(cache: &Cache<u64, u64>, database: &Store) -> u64 {
    let row = async || database.clone().get::<_, u64>(ROW).await;
    *cache.get_or_load(&1, row).await.unwrap()
}

#[test]
fn dying_worker() {
    let Some(job) = worker::job::<Job>() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(async {
        let database = Store::open(&job.database).await.unwrap();
        let cache = open(&job, &job.store).await;
        assert_eq!(read(&cache, &database).await, 1);
        worker::ready();
        database.clone().set::<_, _, ()>(ROW, 2).await.unwrap();
        worker::report(&Said::Cached);
        // The way to the store is being cut.
        let error = loop {
            match cache.invalidate(&2).await {
                Ok(()) => tokio::task::yield_now().await,
                Err(error) => break error,
            }
        };
        assert!(error.is_pending(), "{error}");
        let error = cache.invalidate(&1).await.unwrap_err();
        let ErrorKind::Pending { unkept, .. } = error.kind() else {
            panic!("{error}")
        };
        assert!(unkept.is_none(), "{unkept:?}");
        worker::report(&Said::Pending {
            is_kept: job.folder.is_some(),
        });
        std::future::pending::<()>().await;
    });
}

/// What a process reads that is started again after one died with a pending invalidation; and what others do then.
async fn after_a_death(url: &str, port: u16, folder: Option<&Path>) -> (u64, u64) {
    let proxy = Proxy::start(port).await.unwrap();
    let database = Store::open(url).await.unwrap();
    database.clone().set::<_, _, ()>(ROW, 1).await.unwrap();
    let job = Job {
        store: proxy.url(),
        database: url.to_owned(),
        folder: folder.map(Path::to_owned),
    };
    let (victim, cut) = (job.clone(), Arc::new(proxy));
    let proxy = cut.clone();
    let worker = tokio::task::spawn_blocking(move || {
        let mut worker = Worker::start(ENTRY, &victim);
        worker.go();
        assert_eq!(worker.next_record(), Some(Said::Cached));
        cut.refuse(true);
        cut.reset();
        let is_kept = victim.folder.is_some();
        assert_eq!(worker.next_record(), Some(Said::Pending { is_kept }));
        worker.kill();
    });
    worker.await.unwrap();
    proxy.normal();
    let others = open(
        &Job {
            folder: None,
            ..job.clone()
        },
        url,
    )
    .await;
    assert_eq!(read(&others, &database).await, 1, "it was cached before");
    let again = open(&job, &job.store).await;
    let own = read(&again, &database).await;
    eventually(SOON, async || again.stats().pending == 0).await;
    let theirs = read(&others, &database).await;
    others.clear().await.unwrap();
    (own, theirs)
}

async fn kept_over_a_death(url: &str, port: u16) {
    let folder = TempDir::new().unwrap();
    // By hand it is the same: who had to delete the key is gone.
    assert_eq!(after_a_death(url, port, None).await, (1, 1), "without the log");
    assert_eq!(after_a_death(url, port, Some(folder.path())).await, (2, 2), "with it");
    // What was acknowledged is removed.
    let log = folder.path().join("kept.pending");
    eventually(SOON, async || std::fs::metadata(&log).unwrap().len() < 30).await;
}

#[tokio::test]
async fn a_process_that_died_with_pending_invalidations_sends_them_when_it_is_back() {
    let server = RedisServer::start().await;
    kept_over_a_death(&server.url(), server.port()).await;
}

#[tokio::test]
async fn and_so_it_does_on_larder_serve() {
    let server = LarderServer::start();
    kept_over_a_death(&server.url(), server.port()).await;
}

/// A cache whose store is never there.
fn away(log: PendingLog) -> CacheBuilder<u64, u64> {
    // Nobody listens on this port.
    let store = Store::lazy("redis://127.0.0.1:1?max_attempts=1").unwrap();
    let builder = Cache::builder("away").store(&store).ttl(Duration::from_secs(3600));
    builder.keep_pending(log)
}

fn on(disk: &SimDisk) -> PendingLog {
    PendingLog::new("/pending").disk(Arc::new(disk.clone()))
}

/// Why an invalidation is not kept; `None` if it is.
fn unkept(done: Result<(), Error>) -> Option<String> {
    let error = done.unwrap_err();
    let shown = error.to_string();
    match error.kind() {
        ErrorKind::Pending { unkept, .. } => unkept.is_some().then_some(shown),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn every_kind_is_kept() {
    let folder = TempDir::new().unwrap();
    let log = || PendingLog::new(folder.path());
    let cache = away(log()).build().await.unwrap();
    assert_eq!(unkept(cache.invalidate_many(&[1, 2]).await), None);
    assert_eq!(unkept(cache.mark_stale(&3).await), None);
    assert_eq!(unkept(cache.invalidate_tags(["a", "b"]).await), None);
    assert_eq!(cache.stats().pending, 5);
    drop(cache);
    // It is free again once the runtime has dropped its task, for which the builder waits.
    let cache = away(log()).build().await.unwrap();
    assert_eq!(cache.stats().pending, 5);
    assert_eq!(unkept(cache.clear().await), None);
    drop(cache);
    let cache = away(log()).build().await.unwrap();
    assert_eq!(cache.stats().pending, 1, "everything is one clear");
}

#[tokio::test]
async fn an_invalidation_that_was_cancelled_is_kept_too() {
    let disk = SimDisk::new();
    let cache = away(on(&disk)).build().await.unwrap();
    let mut sending = Box::pin(cache.invalidate(&1));
    tokio::select! {
        biased;
        done = sending.as_mut() => panic!("{done:?}"),
        () = std::future::ready(()) => {}
    }
    drop(sending);
    assert_eq!(cache.stats().pending, 1);
    eventually(SOON, async || {
        let left = disk.after_crash(&Case::each(1, 1).next().unwrap().random());
        away(on(&left)).build().await.unwrap().stats().pending == 1
    })
    .await;
}

#[tokio::test]
async fn a_disk_that_is_full_is_told_and_loses_nothing_else() {
    for trouble in [Trouble::Full, Trouble::SyncFails] {
        let disk = SimDisk::new();
        let cache = away(on(&disk)).build().await.unwrap();
        assert_eq!(unkept(cache.invalidate(&1).await), None);
        disk.strike_at(disk.steps(), trouble);
        let told = unkept(cache.invalidate(&2).await).expect("there is no room");
        assert!(told.contains("could not be kept on disk"), "{told}");
        assert!(cache.stats().keep_failures > 0);
        assert_eq!(cache.stats().pending, 2, "it is sent all the same");
        let random = Case::each(1, 1).next().unwrap().random();
        let left = away(on(&disk.after_crash(&random))).build().await.unwrap();
        assert!(left.stats().pending >= 1, "{trouble:?}: what was kept before is there");
        disk.mend();
        assert_eq!(unkept(cache.invalidate(&3).await), None, "{trouble:?}");
        let left = away(on(&disk.after_crash(&random))).build().await.unwrap();
        assert_eq!(left.stats().pending, 3, "{trouble:?}: and what was not is kept since");
    }
}

/// Whatever the machine was doing when it stopped.
#[tokio::test]
async fn what_was_kept_survives_a_crash_at_any_step() {
    let steps = {
        let disk = SimDisk::new();
        let cache = away(on(&disk)).build().await.unwrap();
        write_all(&cache).await;
        disk.steps()
    };
    assert!(steps > 8, "{steps}");
    for step in 0..steps {
        for case in Case::each(3, step) {
            let disk = SimDisk::new();
            disk.strike_at(step, Trouble::Crash);
            let kept = match away(on(&disk)).build().await {
                Ok(cache) => write_all(&cache).await,
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::PendingLog { .. }), "{error}");
                    0
                }
            };
            let left = disk.after_crash(&case.random());
            let again = away(on(&left)).build().await.expect("what a crash leaves can be read");
            let pending = again.stats().pending;
            // A damaged end stands for everything, and counts as one.
            assert!(pending >= kept || pending == 1, "step {step}: {pending} of {kept}");
        }
    }
}

/// Some invalidations; how many were reported as kept.
async fn write_all(cache: &Cache<u64, u64>) -> u64 {
    let mut kept = 0;
    for keys in [[1, 2], [3, 4], [5, 6]] {
        if unkept(cache.invalidate_many(&keys).await).is_none() {
            kept += 2;
        }
    }
    kept
}

#[tokio::test]
async fn a_damaged_file_is_as_good_as_a_clear_and_a_foreign_one_is_refused() {
    let disk = SimDisk::new();
    let cache = away(on(&disk)).build().await.unwrap();
    assert_eq!(unkept(cache.invalidate_many(&[1, 2, 3]).await), None);
    assert_eq!(unkept(cache.invalidate(&4).await), None);
    let path = Path::new("/pending/away.pending");
    let whole = disk.content(path);
    let reopened = async |bytes: &[u8]| {
        let other = SimDisk::new();
        other.overwrite(path, bytes);
        away(on(&other))
            .build()
            .await
            .map(|cache| (cache.stats().pending, other))
    };
    assert_eq!(reopened(&whole).await.unwrap().0, 4);
    assert_eq!(reopened(&whole[..whole.len() - 3]).await.unwrap().0, 3, "a torn end");
    let mut flipped = whole.clone();
    flipped[40] ^= 1;
    let (pending, other) = reopened(&flipped).await.unwrap();
    assert_eq!(pending, 1, "one clear of everything");
    // It is written anew, so that the next start finds a file that is whole.
    assert_eq!(reopened(&other.content(path)).await.unwrap().0, 1);
    let foreign = reopened(b"something else").await.unwrap_err();
    let shown = foreign.to_string();
    assert!(
        shown.contains("/pending/away.pending") && shown.contains("move it away"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_log_has_one_owner_and_a_cache_built_twice_shares_it() {
    let disk = SimDisk::new();
    let store = Store::lazy("redis://127.0.0.1:1?max_attempts=1").unwrap();
    let build = async |folder: &str| {
        let log = PendingLog::new(folder).disk(Arc::new(disk.clone()));
        let builder = Cache::<u64, u64>::builder("away").store(&store);
        builder.ttl(Duration::from_secs(3600)).keep_pending(log).build().await
    };
    let one = build("/pending").await.unwrap();
    let same = build("/pending").await.unwrap();
    assert_eq!(unkept(one.invalidate(&1).await), None);
    assert_eq!(same.stats().pending, 1);
    let other = build("/elsewhere").await.unwrap_err();
    assert!(other.to_string().contains("keep_pending"), "{other}");
    // Another store, and so another cache: the log has its owner.
    let refused = away(on(&disk)).build().await.unwrap_err();
    assert!(refused.to_string().contains("owns it"), "{refused}");
}

#[tokio::test]
async fn a_log_stays_below_its_limit() {
    const LIMIT: u64 = 64 << 10;
    let folder = TempDir::new().unwrap();
    let log = || PendingLog::new(folder.path()).limit(LIMIT);
    let cache = away(log()).build().await.unwrap();
    for round in 0..30 {
        let keys: Vec<u64> = (0..400).map(|n| round * 400 + n).collect();
        assert_eq!(unkept(cache.invalidate_many(&keys).await), None);
        let file = folder.path().join("away.pending");
        assert!(std::fs::metadata(&file).unwrap().len() <= LIMIT);
    }
    drop(cache);
    let cache = away(log()).build().await.unwrap();
    assert!(
        (1..=400).contains(&cache.stats().pending),
        "what did not fit is one clear"
    );
}
