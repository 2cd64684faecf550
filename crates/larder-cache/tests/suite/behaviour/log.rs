//! The near tier that a log of invalidations keeps true: on every store, as two processes see it.

use std::time::Duration;

use larder_cache::{Cache, CacheBuilder, Coherence, Tier};
use larder_store::{Resp, RetryPolicy, Store, StoreConfig};
use larder_testkit::{Answer, Kind, Proxy, RedisServer, Topology, eventually, for_each_topology};

use super::subject::{Numbers, answers, build, slowly};

/// Longer than anything takes here, even on a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// So many units pass at most until something shows: twice what the longest wait of the log takes.
const UNITS: u32 = 2_400;

/// As a process that reads the log.
async fn reader(t: &Topology) -> Numbers {
    build(t, |b| logged(b).ttl(t.units(10_000))).await
}

fn logged(builder: CacheBuilder<u64, u64>) -> CacheBuilder<u64, u64> {
    builder.near(1_000).coherence(Coherence::Log)
}

async fn tier(cache: &Numbers, key: u64) -> Option<Tier> {
    let found = cache.lookup(&key).await.unwrap();
    found.value().map(|_| found.tier())
}

/// Lets time pass until `condition` holds; how many units it took.
async fn soon(t: &Topology, what: &str, condition: impl AsyncFn() -> bool) -> u32 {
    for units in 0..UNITS {
        if condition().await {
            return units;
        }
        slowly(t, 1).await;
    }
    panic!("{what}: not after {UNITS} units");
}

/// Waits until `cache` has a copy of `key` that it serves.
async fn has_copy(t: &Topology, cache: &Numbers, key: u64) -> u32 {
    soon(t, "a copy", async || tier(cache, key).await == Some(Tier::Near)).await
}

/// The log of the partition that `key` is in: the only one that says so.
fn log_of(t: &Topology, key: u64) -> String {
    let mut wire = t.wire();
    let entry = wire.call(&["KEYS", &format!("n:*:e:{key}")]).unwrap();
    entry.list()[0].text().replace(&format!("e:{key}"), "l")
}

#[test]
fn whatever_changes_a_key_drops_its_near_copies() {
    type Change = for<'a> fn(&'a Topology, &'a Numbers) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;
    let changes: [(&str, Change); 9] = [
        ("invalidate", |_, other| {
            Box::pin(async { other.invalidate(&1).await.unwrap() })
        }),
        ("put", |_, other| {
            Box::pin(async { other.put(&1, 8).await.map(drop).unwrap() })
        }),
        ("hold", |_, other| {
            Box::pin(async { drop(other.hold(&1).await.unwrap()) })
        }),
        ("mark_stale", |_, other| {
            Box::pin(async { other.mark_stale(&1).await.unwrap() })
        }),
        ("tag", |_, other| {
            Box::pin(async { other.invalidate_tag("mine").await.unwrap() })
        }),
        ("clear", |_, other| Box::pin(async { other.clear().await.unwrap() })),
        ("FLUSHALL", |t, _| {
            Box::pin(async { _ = t.wire().call(&["FLUSHALL"]).unwrap() })
        }),
        ("pattern", |_, other| {
            Box::pin(async { _ = other.invalidate_matching("1").await.unwrap() })
        }),
        ("pattern, evicted", |t, other| {
            Box::pin(async {
                let e = log_of(t, 1).replace(":l", ":e:1");
                t.wire().call(&["DEL", &e]).unwrap();
                _ = other.invalidate_matching("1").await.unwrap();
            })
        }),
    ];
    for_each_topology(async |t: Topology| {
        for (name, change) in changes {
            t.wire().call(&["FLUSHALL"]).unwrap();
            let (here, there) = (reader(&t).await, reader(&t).await);
            here.put_with(&1, 7, |o| o.tag("mine")).await.unwrap();
            has_copy(&t, &there, 1).await;
            change(&t, &here).await;
            if name != "FLUSHALL" {
                let found = tier(&here, 1).await;
                assert_ne!(found, Some(Tier::Near), "{name}: the own process sees it at once");
            }
            soon(&t, name, async || tier(&there, 1).await != Some(Tier::Near)).await;
        }
    });
}

#[test]
fn a_tag_leaves_other_copies_alone() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (reader(&t).await, reader(&t).await);
        here.put(&1, 7).await.unwrap();
        here.put_with(&2, 7, |o| o.tag("mine")).await.unwrap();
        here.put_with(&3, 7, |o| o.tag("other")).await.unwrap();
        // From the first tag on a process knows what it compares with.
        here.invalidate_tag("first").await.unwrap();
        slowly(&t, 20).await;
        for key in [1, 2, 3] {
            has_copy(&t, &there, key).await;
        }
        let misses = there.stats().store_misses;
        here.invalidate_tag("mine").await.unwrap();
        soon(&t, "the tag", async || tier(&there, 2).await.is_none()).await;
        for key in [1, 3] {
            has_copy(&t, &there, key).await;
        }
        assert_eq!(there.stats().store_misses, misses + 1, "the tagged one alone");
    });
}

#[test]
fn a_lost_or_trimmed_log_ends_every_copy() {
    for_each_topology(async |t: Topology| {
        for trim in [false, true] {
            t.wire().call(&["FLUSHALL"]).unwrap();
            let (here, there) = (reader(&t).await, reader(&t).await);
            here.put(&1, 7).await.unwrap();
            here.put(&2, 7).await.unwrap();
            has_copy(&t, &there, 1).await;
            has_copy(&t, &there, 2).await;
            let log = log_of(&t, 1);
            here.invalidate(&1).await.unwrap();
            let mut wire = t.wire();
            match trim {
                true => wire.call(&["XTRIM", &log, "MAXLEN", "0"]).unwrap(),
                false => wire.call(&["DEL", &log]).unwrap(),
            };
            soon(&t, "the copy", async || tier(&there, 1).await.is_none()).await;
            has_copy(&t, &there, 2).await;
        }
    });
}

#[test]
fn a_partition_that_loses_its_incarnation_loses_its_copies() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (reader(&t).await, reader(&t).await);
        here.put(&1, 7).await.unwrap();
        has_copy(&t, &there, 1).await;
        slowly(&t, 20).await;
        let m = log_of(&t, 1).replace(":l", ":m");
        t.wire().call(&["DEL", &m]).unwrap();
        soon(&t, "the copy", async || tier(&there, 1).await.is_none()).await;
    });
}

#[test]
fn what_somebody_else_wrote_over_the_log_is_dropped() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (reader(&t).await, reader(&t).await);
        here.put(&1, 7).await.unwrap();
        has_copy(&t, &there, 1).await;
        let log = log_of(&t, 1);
        t.wire().call(&["SET", &log, "no log"]).unwrap();
        soon(&t, "a new log", async || {
            t.wire().call(&["TYPE", &log]).unwrap().text() == "stream"
        })
        .await;
        here.invalidate(&1).await.unwrap();
        soon(&t, "the copy", async || tier(&there, 1).await.is_none()).await;
    });
}

#[test]
fn who_does_not_read_the_log_writes_it_while_somebody_does() {
    for_each_topology(async |t: Topology| {
        let there = reader(&t).await;
        let here = build(&t, |b| b.ttl(t.units(10_000))).await;
        soon(&t, "a reader", async || {
            t.wire().call(&["EXISTS", "n:{n.0}:log"]).unwrap() == Answer::Int(1)
        })
        .await;
        for value in [7, 8] {
            here.put(&1, value).await.unwrap();
            let served = async || there.get(&1).await.unwrap().as_deref() == Some(&value);
            soon(&t, "the new value", served).await;
            has_copy(&t, &there, 1).await;
        }
    });
}

/// A writer that looked before anybody read the log may leave it out for a while: so long no copy is served.
#[test]
fn no_copy_is_served_while_somebody_may_invalidate_without_the_log() {
    for_each_topology(async |t: Topology| {
        if t.kind() == Kind::Redis {
            return; // Its minute is a real one.
        }
        let here = build(&t, |b| b.ttl(t.units(10_000))).await;
        here.put(&1, 7).await.unwrap();
        let there = reader(&t).await;
        slowly(&t, 20).await;
        here.put(&1, 8).await.unwrap();
        assert_eq!(there.get(&1).await.unwrap().as_deref(), Some(&8));
        slowly(&t, 20).await;
        assert_eq!(tier(&there, 1).await, Some(Tier::Store));
        let units = has_copy(&t, &there, 1).await;
        assert!(units > 600, "half a minute at least, not {units} units");
        here.put(&1, 9).await.unwrap();
        soon(&t, "the new value", async || {
            there.get(&1).await.unwrap().as_deref() == Some(&9)
        })
        .await;
    });
}

/// How long a lid stays closed: beyond every TTL here and what a process says of itself in the store, and not so long that
/// the log is given up.
const NAP: Duration = Duration::from_secs(30 * 60);

/// The machine of all processes and of the engine sleeps; `false` where it cannot be sent to sleep.
fn sleeps(t: &Topology) -> bool {
    t.clock().as_manual().inspect(|hand| hand.suspend(NAP)).is_some()
}

/// The clock of a copy's time stands still meanwhile.
#[test]
fn a_copy_from_before_the_machine_slept_is_not_served() {
    for_each_topology(async |t: Topology| {
        let here = reader(&t).await;
        here.put(&1, 7).await.unwrap();
        has_copy(&t, &here, 1).await;
        if sleeps(&t) {
            soon(&t, "its time has passed", async || tier(&here, 1).await.is_none()).await;
            here.put(&1, 8).await.unwrap();
            has_copy(&t, &here, 1).await;
        }
    });
}

/// What it said in the store ended meanwhile, and its own clock stood still.
#[test]
fn who_slept_looks_again_whether_somebody_reads_the_log() {
    for_each_topology(async |t: Topology| {
        let here = build(&t, |b| b.ttl(t.units(10_000))).await;
        here.put(&1, 7).await.unwrap();
        if sleeps(&t) {
            let there = reader(&t).await;
            here.get_or_load(&1, || answers(7)).await.unwrap();
            let units = has_copy(&t, &there, 1).await;
            assert!(units < 300, "its look would still stand, {units} units later");
            here.invalidate(&1).await.unwrap();
            soon(&t, "the copy", async || tier(&there, 1).await.is_none()).await;
        }
    });
}

/// Waits until a process has read its log so many times more.
async fn reads_on(cache: &Numbers, times: u32) {
    let (mut before, mut reads) = (Duration::ZERO, 0);
    eventually(SOON, async || {
        let age = cache.stats().unproven_for.unwrap_or(Duration::MAX);
        reads += u32::from(age < before);
        before = age;
        reads >= times
    })
    .await;
}

/// What was said was lost with the server it was said on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_meets_another_server_looks_again_whether_somebody_reads_the_log() {
    let mut server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await.expect("loopback has a free port");
    let builder = async |url: String| {
        // It comes back soon: a look stands for some time only.
        let retry = RetryPolicy {
            max_attempts: 1,
            max_delay: Duration::from_millis(100),
            ..RetryPolicy::default()
        };
        let config = StoreConfig::from_url(&url).unwrap().retry(retry);
        let store = Store::connect(config.read_timeout(Duration::from_millis(300)));
        let store = store.await.expect("the server is up");
        Cache::builder("n").store(&store).ttl(Duration::from_secs(600))
    };
    let here: Numbers = builder(proxy.url()).await.build().await.unwrap();
    here.put(&1, 7).await.unwrap();
    proxy.refuse(true);
    proxy.cut();
    server.restart_empty().await;
    let there: Numbers = logged(builder(server.url()).await).build().await.unwrap();
    eventually(SOON, async || server.cli(&["EXISTS", "n:{n.0}:log"]) == "1").await;
    proxy.normal();
    eventually(SOON, async || here.put(&1, 7).await.is_ok()).await;
    // The partition is new to it too, and that alone drops copies when it is read.
    reads_on(&there, 3).await;
    eventually(SOON, async || tier(&there, 1).await == Some(Tier::Near)).await;
    here.put(&1, 8).await.unwrap();
    eventually(SOON, async || there.get(&1).await.unwrap().as_deref() == Some(&8)).await;
}

/// The point of the mode: a process that was cut off reads what it missed, and drops that alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_was_cut_off_drops_what_was_invalidated_meanwhile_and_nothing_else() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await.expect("loopback has a free port");
    let near = async |port: u16| -> Numbers {
        let config = StoreConfig::tcp("127.0.0.1", port).read_timeout(Duration::from_secs(1));
        let store = Store::connect(config).await.expect("the server is up");
        let builder = logged(Cache::builder("n")).store(&store).ttl(Duration::from_secs(600));
        builder.build().await.expect("the settings agree")
    };
    let (here, there) = (near(server.port()).await, near(proxy.port()).await);
    for key in 0..200 {
        here.put(&key, key).await.unwrap();
    }
    // What this process wrote itself is in the log too, and may take a first copy away.
    eventually(SOON, async || {
        for key in 0..200 {
            there.get(&key).await.unwrap();
        }
        there.stats().near_entries == 200
    })
    .await;
    proxy.refuse(true);
    proxy.cut();
    for key in 0..100 {
        here.invalidate(&key).await.unwrap();
    }
    eventually(SOON, async || {
        there
            .stats()
            .unproven_for
            .is_none_or(|unproven| unproven > Duration::from_secs(1))
    })
    .await;
    assert_eq!(there.stats().near_entries, 200, "kept, and not served");
    proxy.normal();
    eventually(SOON, async || there.stats().near_entries == 100).await;
    let asked = there.stats().store_hits + there.stats().store_misses;
    eventually(SOON, async || tier(&there, 150).await == Some(Tier::Near)).await;
    for key in 100..200 {
        assert_eq!(tier(&there, key).await, Some(Tier::Near), "{key}");
    }
    for key in 0..100 {
        assert_eq!(
            there
                .get_or_load(&key, || answers(key + 1_000))
                .await
                .map(|v| *v)
                .unwrap(),
            key + 1_000
        );
    }
    assert!(there.stats().store_hits + there.stats().store_misses <= asked + 102);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_needs_no_pushes() {
    let server = RedisServer::start().await;
    let near = async |coherence| {
        let config = StoreConfig::tcp("127.0.0.1", server.port()).resp(Resp::V2);
        let store = Store::connect(config).await.expect("the server is up");
        let builder = Cache::<u64, u64>::builder("n").near(10).coherence(coherence);
        builder.store(&store).ttl(Duration::from_secs(600)).build().await
    };
    assert!(near(Coherence::Tracking).await.unwrap_err().is_config());
    let (here, there) = (near(Coherence::Log).await.unwrap(), near(Coherence::Log).await.unwrap());
    here.put(&1, 7).await.unwrap();
    eventually(SOON, async || tier(&there, 1).await == Some(Tier::Near)).await;
    here.put(&1, 8).await.unwrap();
    eventually(SOON, async || there.get(&1).await.unwrap().as_deref() == Some(&8)).await;
}

#[tokio::test]
async fn a_log_that_is_too_short_is_refused() {
    let store = Store::open("embedded:").await.unwrap();
    let builder = logged(Cache::builder("n")).log_max(99).store(&store);
    let refused = builder.ttl(Duration::from_secs(1)).build().await.unwrap_err();
    assert!(refused.to_string().contains("`log_max` is 99"), "{refused}");
}
