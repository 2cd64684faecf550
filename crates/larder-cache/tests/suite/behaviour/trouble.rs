//! Trouble with the store: down, silent, full, losing keys.

use std::time::Duration;

use larder_base::Clock;
use larder_cache::{Cache, CacheBuilder, Coherence, OnStoreDown};
use larder_store::{RetryPolicy, Store, StoreConfig};
use larder_testkit::{Proxy, RedisServer, Topology, eventually, for_each_topology};

use super::subject::{Rows, answers, cache, fails};

/// A server behind a proxy, and a store that gives up soon.
pub(super) struct Shaky {
    server: RedisServer,
    proxy: Proxy,
    pub(super) store: Store,
}

pub(super) async fn shaky() -> Shaky {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await.expect("loopback has a free port");
    let retry = RetryPolicy {
        max_attempts: 1,
        ..RetryPolicy::default()
    };
    let config = StoreConfig::from_url(&proxy.url())
        .unwrap()
        .read_timeout(Duration::from_millis(750))
        .write_timeout(Duration::from_millis(250))
        .retry(retry)
        .clock(Clock::system());
    let store = Store::connect(config).await.expect("the proxy lets it through");
    Shaky { server, proxy, store }
}

impl Shaky {
    fn builder(&self) -> CacheBuilder<u64, u64> {
        Cache::builder("n")
            .store(&self.store)
            .ttl(Duration::from_secs(60))
            .jitter(0.0)
    }

    pub(super) fn down(&self) {
        self.proxy.refuse(true);
        self.proxy.cut();
    }

    pub(super) fn up(&self) {
        self.proxy.refuse(false);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_goes_past_a_store_that_is_down() {
    let shaky = shaky().await;
    let rows = Rows::of(7);
    let cache = shaky.builder().source(rows.clone()).build().await.unwrap();
    shaky.down();
    assert_eq!(cache.get(&1).await.unwrap().as_deref(), Some(&7));
    assert_eq!(*cache.get_or_load(&2, || answers(8)).await.unwrap(), 8);
    assert_eq!(cache.get_many(&[3, 4]).await.all().unwrap().len(), 2);
    assert!(cache.stats().bypasses >= 3);
    shaky.up();
    larder_testkit::eventually(Duration::from_secs(10), async || shaky.store.ping().await.is_ok()).await;
    cache.get(&1).await.unwrap();
    assert!(cache.contains(&1).await.unwrap(), "and caches again when it is back");
    drop(shaky.server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bypass_is_bounded() {
    let shaky = shaky().await;
    let rows = Rows::of(7);
    let policy = OnStoreDown::Bypass { max_concurrency: 2 };
    let cache = shaky
        .builder()
        .source(rows.clone())
        .on_store_down(policy)
        .build()
        .await
        .unwrap();
    shaky.down();
    rows.close_gate();
    let calls: Vec<_> = (0..8)
        .map(|key| {
            let cache = cache.clone();
            tokio::spawn(async move { cache.get(&key).await })
        })
        .collect();
    larder_testkit::eventually(Duration::from_secs(10), async || cache.stats().bypasses == 8).await;
    assert!(rows.loads() <= 2);
    rows.open_gate();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().as_deref(), Some(&7));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_fails_where_that_is_chosen() {
    let shaky = shaky().await;
    let cache = shaky
        .builder()
        .source(Rows::of(7))
        .on_store_down(OnStoreDown::Fail)
        .build()
        .await
        .unwrap();
    shaky.down();
    let error = cache.get(&1).await.unwrap_err();
    assert!(
        error.is_store_down() && error.to_string().contains("on_store_down"),
        "{error}"
    );
    assert!(cache.get_or_load(&1, || answers(7)).await.unwrap_err().is_store_down());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn near_copies_serve_for_a_declared_time_where_that_is_chosen() {
    let shaky = shaky().await;
    let near = Coherence::TtlOnly {
        max_staleness: Duration::from_millis(50),
    };
    let policy = OnStoreDown::ServeNear {
        max_stale: Duration::from_secs(30),
    };
    let cache = shaky
        .builder()
        .near(100)
        .coherence(near)
        .on_store_down(policy)
        .build()
        .await
        .unwrap();
    cache.get_or_load(&1, || answers(7)).await.unwrap();
    shaky.down();
    eventually(Duration::from_secs(20), async || {
        cache.lookup(&1).await.unwrap().is_stale()
    })
    .await;
    let found = cache.lookup(&1).await.unwrap();
    assert!(
        found.is_stale() && found.value().is_some_and(|value| **value == 7),
        "{found:?}"
    );
    assert!(cache.get_or_load(&2, fails).await.unwrap_err().is_store_down());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_that_is_not_acknowledged_is_pending() {
    let shaky = shaky().await;
    let cache = shaky.builder().build().await.unwrap();
    cache.put_with(&1, 7, |o| o.tag("t")).await.unwrap();
    shaky.down();
    assert!(cache.invalidate(&1).await.unwrap_err().is_pending());
    assert!(cache.invalidate_tag("t").await.unwrap_err().is_pending());
    assert!(cache.clear().await.unwrap_err().is_pending());
    assert!(cache.mark_stale(&1).await.unwrap_err().is_pending());
    assert!(cache.stats().invalidations_pending >= 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_or_step_whose_answer_is_lost_is_not_repeated() {
    let shaky = shaky().await;
    let cache = shaky.builder().build().await.unwrap();
    cache.incr(&1, 1).await.unwrap();
    cache.put(&1, 7).await.unwrap();
    shaky.proxy.hold_replies();
    let (step, put) = tokio::join!(cache.incr(&1, 1), cache.put(&1, 8));
    assert!(step.unwrap_err().is_outcome_unknown());
    assert!(put.unwrap_err().is_outcome_unknown());
    let counted = shaky.server.cli(&[
        "EVAL",
        "return redis.call('GET', redis.call('KEYS', 'n:*:c:1')[1])",
        "0",
    ]);
    assert_eq!(counted.trim(), "2", "once, not twice");
}

/// A reply that is lost after the lease was granted: the read asks again under a new token and is not kept waiting by
/// its own lost attempt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_lease_reply_does_not_lock_its_reader_out() {
    let shaky = shaky().await;
    let cache = shaky.builder().build().await.unwrap();
    // The script is known to the server from here on.
    cache.get_or_load(&2, || answers(7)).await.unwrap();
    shaky.proxy.hold_replies();
    let read = tokio::spawn({
        let cache = cache.clone();
        async move { cache.get_or_load(&1, || answers(7)).await }
    });
    larder_testkit::eventually(Duration::from_secs(10), async || {
        !shaky.server.cli(&["KEYS", "n:*:e:1"]).trim().is_empty()
    })
    .await;
    shaky.proxy.let_pass();
    assert_eq!(*read.await.unwrap().unwrap(), 7);
    assert_eq!(cache.stats().waits, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_store_serves_what_it_has_and_keeps_nothing_old() {
    let server = RedisServer::start().await;
    let store = Store::open(&server.url()).await.unwrap();
    let cache: Cache<u64, u64> = Cache::builder("n")
        .store(&store)
        .ttl(Duration::from_secs(60))
        .build()
        .await
        .unwrap();
    cache.put(&1, 7).await.unwrap();
    server.config("maxmemory-policy", "noeviction");
    server.config("maxmemory", "1");
    assert_eq!(*cache.get_or_load(&1, fails).await.unwrap(), 7);
    assert_eq!(
        *cache.get_or_load(&2, || answers(8)).await.unwrap(),
        8,
        "loaded, not stored"
    );
    let error = cache.put(&1, 9).await.unwrap_err();
    assert!(error.to_string().contains("maxmemory"), "{error}");
    assert!(cache.get(&1).await.unwrap().is_none(), "the old value is gone");
    cache.invalidate_tag("t").await.unwrap();
    cache.clear().await.unwrap();
}

#[test]
fn a_lost_key_costs_a_miss_and_is_cached_again_within_two_reads() {
    for_each_topology(async |t: Topology| {
        let cache = cache(&t).await;
        let tagged = async |value: u64| {
            let load = |ctx: larder_cache::LoadContext<u64>| async move {
                ctx.tag("T");
                answers(value).await
            };
            cache.get_or_load_with(&1, load).await.unwrap().map(|value| *value)
        };
        for (round, part) in ["m", "t0", "t1", "e:*"].into_iter().enumerate() {
            tagged(round as u64).await;
            for _ in 0..3 {
                cache.invalidate_tag("U").await.unwrap();
            }
            let mut wire = t.wire();
            let lua = "for _, k in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', k) end";
            wire.call(&["EVAL", lua, "0", &format!("n:{{n.*}}:{part}")]).unwrap();
            tagged(10).await;
            tagged(10).await;
            let loads = cache.stats().loads;
            tagged(11).await;
            assert_eq!(cache.stats().loads, loads, "cached again after the loss of {part}");
            cache.invalidate(&1).await.unwrap();
        }
    });
}

#[tokio::test]
async fn an_invalidation_that_the_store_refuses_is_not_ok() {
    let server = RedisServer::start().await;
    let mut admin = Store::open(&server.url()).await.unwrap();
    let mut rights = redis::cmd("ACL");
    rights
        .arg("SETUSER")
        .arg("reader")
        .arg(&["on", "nopass", "~*", "&*", "+@all"]);
    let _: () = rights.query_async(&mut admin).await.unwrap();
    let url = server.url().replace("redis://", "redis://reader:any@");
    let cache: Cache<u64, u64> = Cache::builder("n")
        .store(&Store::open(&url).await.unwrap())
        .ttl(Duration::from_secs(60))
        .build()
        .await
        .unwrap();
    cache.get_or_load(&1, || answers(7)).await.unwrap();

    let mut rights = redis::cmd("ACL");
    rights.arg("SETUSER").arg("reader").arg(&["-mget", "-evalsha"]);
    let _: () = rights.query_async(&mut admin).await.unwrap();
    assert!(cache.clear().await.unwrap_err().is_pending());
    assert!(cache.invalidate(&1).await.unwrap_err().is_pending());
    assert!(cache.invalidate_tag("all").await.unwrap_err().is_pending());
}

/// Where a record stands is part of what its checksum covers: an operator who copies one, or a script with a wrong key,
/// hands nobody somebody else's value.
#[test]
pub(crate) fn a_record_copied_from_another_key_is_a_miss() {
    for_each_topology(async |t: Topology| {
        let cache = cache(&t).await;
        // So many that some share a partition, which is what makes the rest of a record right.
        cache.put_many((0..200).map(|key| (key, key))).await.unwrap();
        let mut wire = t.wire();
        let keys = wire.call(&["KEYS", "*:e:*"]).unwrap();
        let mut names: Vec<String> = keys.list().iter().map(larder_testkit::Answer::text).collect();
        names.sort_unstable();
        let key_of = |name: &str| {
            name.rsplit_once(':')
                .and_then(|(_, key)| key.parse::<u64>().ok())
                .unwrap()
        };
        let partition = |name: &str| name.split_once('}').unwrap().0.to_owned();
        let pair = names
            .windows(2)
            .find(|pair| partition(&pair[0]) == partition(&pair[1]))
            .unwrap();
        let record = wire.call(&["GET", &pair[0]]).unwrap();
        wire.call(&[b"SET".as_slice(), pair[1].as_bytes(), record.bytes(), b"PX", b"60000"])
            .unwrap();
        let (from, to) = (key_of(&pair[0]), key_of(&pair[1]));
        assert_eq!(cache.get(&to).await.unwrap(), None, "the value of {from} under {to}");
        assert_eq!(cache.get(&from).await.unwrap().as_deref(), Some(&from));
        assert_eq!(cache.stats().decode_failures, 1);
    });
}
