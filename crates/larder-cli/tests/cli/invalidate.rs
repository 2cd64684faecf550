//! `larder invalidate` reaches the caches of other processes: what it names is loaded again, and nothing else is.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use larder_cache::Cache;
use larder_store::Store;
use larder_testkit::{RedisServer, eventually};

use crate::run::{larder, larder_on};

/// A cache of a service, and how often it went to its source.
struct Service {
    server: RedisServer,
    cache: Cache<u64, u64>,
    loads: AtomicU64,
}

/// Far from every TTL: what is loaded again within it was invalidated.
const SOON: Duration = Duration::from_secs(20);

impl Service {
    /// Holds 1, 2, 3 and 40, tagged as odd or even.
    async fn start() -> Self {
        let server = RedisServer::start().await;
        let store = Store::open(&server.url()).await.expect("the server runs");
        let cache = Cache::builder("user")
            .store(&store)
            .ttl(Duration::from_secs(3_600))
            .tags(|id: &u64| [if id.is_multiple_of(2) { "even" } else { "odd" }.to_owned()])
            .build()
            .await
            .expect("the store answers");
        let service = Self {
            server,
            cache,
            loads: AtomicU64::new(0),
        };
        assert_eq!(service.loaded(&[1, 2, 3, 40]).await, 4);
        assert_eq!(service.loaded(&[1, 2, 3, 40]).await, 0, "all are cached");
        service
    }

    /// Reads these ids: how many of them had to be loaded.
    async fn loaded(&self, ids: &[u64]) -> u64 {
        let before = self.loads.load(Ordering::Relaxed);
        for id in ids {
            let load = || async {
                self.loads.fetch_add(1, Ordering::Relaxed);
                Ok::<_, Infallible>(*id)
            };
            self.cache.get_or_load(id, load).await.expect("the store answers");
        }
        self.loads.load(Ordering::Relaxed) - before
    }

    /// Invalidates as `flags` say: `gone` are loaded again, `kept` are not. What was printed.
    async fn invalidate(&self, flags: &[&str], gone: &[u64], kept: &[u64]) -> String {
        let run = larder_on(&self.server.url(), &[&["invalidate", "user"], flags].concat());
        for id in gone {
            // A copy in this process goes when the store's message is read, a moment after the acknowledgement.
            eventually(SOON, async || self.loaded(&[*id]).await == 1).await;
        }
        assert_eq!(self.loaded(kept).await, 0, "{flags:?} touched others");
        run.out
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_key() {
    let service = Service::start().await;
    let flags = ["--key", "1", "--key", "40"];
    assert_eq!(
        service.invalidate(&flags, &[1, 40], &[2, 3]).await,
        "user: invalidated 2 keys\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn by_tag() {
    let service = Service::start().await;
    assert_eq!(
        service.invalidate(&["--tag", "odd"], &[1, 3], &[2, 40]).await,
        "user: invalidated 1 tag\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn by_pattern() {
    let service = Service::start().await;
    let printed = service.invalidate(&["--pattern", "4*"], &[40], &[1, 2, 3]).await;
    assert_eq!(printed, "user: invalidated 1 matching entry\n");
    let json = service
        .invalidate(&["--pattern", "[12]", "--json"], &[1, 2], &[3, 40])
        .await;
    let document: serde_json::Value = serde_json::from_str(&json).expect("one document");
    assert_eq!(
        (&document["namespace"], &document["matched"]),
        (&"user".into(), &2.into())
    );
}

/// Off a terminal a line says whenever another tenth of the store has been walked.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_walk_by_pattern_says_how_far_it_is() {
    let service = Service::start().await;
    let fill = "for n = 1, 20000 do redis.call('SET', 'other:' .. n, 'x') end";
    service.server.cli(&["EVAL", fill, "0"]);
    let printed = service.invalidate(&["--pattern", "4*"], &[40], &[1, 2, 3]).await;
    let lines: Vec<&str> = printed.lines().collect();
    let (last, walked) = lines.split_last().expect("it prints");
    assert_eq!(*last, "user: invalidated 1 matching entry");
    assert!((9..=10).contains(&walked.len()), "a line per tenth: {printed}");
    assert!(
        walked
            .iter()
            .all(|line| line.starts_with("Progress: ") && line.ends_with(" keys)")),
        "{printed}"
    );
    let json = service
        .invalidate(&["--pattern", "1", "--json"], &[1], &[2, 3, 40])
        .await;
    serde_json::from_str::<serde_json::Value>(&json).expect("one document, and the lines beside it");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_but_nothing_of_another_namespace() {
    let service = Service::start().await;
    service.server.cli(&["SET", "order:1", "mine"]);
    let printed = service.invalidate(&["--all"], &[1, 2, 3, 40], &[]).await;
    assert_eq!(printed, "user: invalidated everything\n");
    assert_eq!(service.server.cli(&["GET", "order:1"]), "mine");
    let other = larder_on(&service.server.url(), &["invalidate", "order", "--all"]);
    assert_eq!(other.out, "order: invalidated everything\n");
    assert_eq!(service.loaded(&[1, 2, 3, 40]).await, 0);
}

#[test]
fn what_is_to_go_must_be_said() {
    larder(&["invalidate", "user", "--store", "redis://127.0.0.1:1"])
        .ended(2)
        .says(&["--key", "--all"]);
}

/// No store answers at port 1: what makes no sense is told before one is asked for.
#[test]
fn what_makes_no_sense_is_wrong_usage() {
    let on = ["invalidate", "--store", "redis://127.0.0.1:1"];
    let long = "x".repeat(256);
    for (args, says) in [
        (["User", "--all", "--json"], "namespace `User`"),
        (["", "--all", "--json"], "namespace ``"),
        (["user", "--tag", ""], "--tag"),
        (["user", "--tag", &long], "1 to 255 bytes, not 256"),
    ] {
        larder(&[&on[..], &args].concat()).ended(2).says(&[says]);
    }
    larder(&[&on[..], &["user", "--all"]].concat())
        .ended(1)
        .says(&["127.0.0.1:1", "hint:", "LARDER_STORE"]);
}
