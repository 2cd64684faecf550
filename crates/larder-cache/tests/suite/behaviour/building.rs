//! What `build` refuses, and that one core serves a namespace.

use std::time::Duration;

use larder_base::codec::Codec;
use larder_cache::{Cache, CacheBuilder, Coherence, Error, OnStoreDown, Ttl};
use larder_store::Store;
use larder_testkit::{Kind, Topology, for_each_topology};

use super::subject::{LONG, Rows};

type Builder = CacheBuilder<u64, u64>;

/// A store that speaks RESP2, in which a server cannot tell anything unasked.
async fn without_pushes(t: &Topology) -> Store {
    let port = t.port().expect("a server");
    Store::open(&format!("redis://127.0.0.1:{port}?resp=2")).await.unwrap()
}

async fn refusal(builder: Builder) -> String {
    let error: Error = builder.build().await.expect_err("it contradicts itself");
    assert!(error.is_config(), "{error:?}");
    error.to_string()
}

#[test]
fn contradictions_are_refused_by_name() {
    for_each_topology(async |t: Topology| {
        let store = t.store().await;
        let ok = || Cache::<u64, u64>::builder("n").store(&store).ttl(t.units(LONG));
        let cases: [(Builder, &[&str]); 19] = [
            (Cache::builder("n").ttl(t.units(LONG)), &["store"]),
            (Cache::builder("n").store(&store), &["ttl", "never"]),
            (Cache::builder("Ünï").store(&store).ttl(t.units(LONG)), &["namespace"]),
            (Cache::builder("").store(&store).ttl(t.units(LONG)), &["namespace"]),
            (ok().ttl(Duration::ZERO), &["ttl"]),
            (ok().ttl(Ttl::never()).grace(t.units(1)), &["grace", "ttl"]),
            (ok().jitter(0.9), &["jitter"]),
            (ok().refresh_ahead(1.5), &["refresh_ahead"]),
            (ok().max_loads(0), &["max_loads"]),
            (
                ok().near(1).max_staleness(Duration::from_millis(1)),
                &["max_staleness", "near(0)"],
            ),
            (
                ok().soft_deadline(t.units(8)).load_timeout(t.units(8)),
                &["soft_deadline", "load_timeout"],
            ),
            (ok().xfetch(1e7), &["xfetch"]),
            (ok().xfetch(f64::NAN), &["xfetch"]),
            (ok().lease(Duration::MAX), &["lease"]),
            (ok().hold_for(Duration::MAX), &["hold_for"]),
            (ok().codec(Codec::json().value_max(512 << 20)), &["value_max", "server"]),
            (
                ok().near(1)
                    .coherence(Coherence::Log)
                    .max_staleness(Duration::from_millis(1)),
                &["max_staleness", "near(0)"],
            ),
            (
                ok().on_store_down(OnStoreDown::Bypass { max_concurrency: 0 }),
                &["max_concurrency", "Fail"],
            ),
            (
                ok().on_store_down(OnStoreDown::ServeNear { max_stale: t.units(1) }),
                &["ServeNear", "near"],
            ),
        ];
        for (builder, names) in cases {
            let text = refusal(builder).await;
            assert!(names.iter().all(|name| text.contains(name)), "{names:?} in {text}");
        }
    });
}

#[test]
fn a_near_tier_on_a_server_needs_one_that_tells_what_changes() {
    for_each_topology(async |t: Topology| {
        if t.kind() == Kind::Embedded {
            return;
        }
        let store = without_pushes(&t).await;
        let builder = || {
            Cache::<u64, u64>::builder("n")
                .store(&store)
                .ttl(t.units(LONG))
                .near(10)
        };
        let text = refusal(builder()).await;
        let ways_out = ["Coherence::Log", "Coherence::TtlOnly { max_staleness }", "near(0)"];
        assert!(ways_out.iter().all(|way| text.contains(way)), "{text}");
        let max_staleness = t.units(1);
        let by_time = builder().coherence(Coherence::TtlOnly { max_staleness });
        assert!(by_time.build().await.is_ok());
    });
}

#[test]
fn a_cache_without_copies_needs_nobody_to_tell() {
    for_each_topology(async |t: Topology| {
        if t.kind() == Kind::Embedded {
            return;
        }
        let store = without_pushes(&t).await;
        let cache = Cache::<u64, u64>::builder("n")
            .store(&store)
            .ttl(t.units(LONG))
            .build()
            .await;
        assert!(cache.is_ok(), "{cache:?}");
    });
}

#[test]
fn a_second_build_joins_the_first_or_says_what_differs() {
    for_each_topology(async |t: Topology| {
        let store = t.store().await;
        let builder = || Cache::<u64, u64>::builder("n").store(&store).ttl(t.units(LONG));
        let first = builder().build().await.unwrap();
        let second = builder().build().await.unwrap();
        first.put(&1, 7).await.unwrap();
        second.get(&1).await.unwrap();
        assert_eq!((second.stats().puts, first.stats().store_hits), (1, 1), "one core");
        for (other, name) in [
            (builder().ttl(t.units(LONG + 1)), "ttl"),
            (builder().grace(t.units(1)), "grace"),
            (builder().source(Rows::of(7)), "source"),
            (builder().tags(|_| ["t"]), "tags"),
        ] {
            let text = refusal(other).await;
            assert!(text.contains(&format!("`{name}`")), "{name}: {text}");
        }
        let types = Cache::<String, u64>::builder("n")
            .store(&store)
            .ttl(t.units(LONG))
            .build()
            .await;
        let text = types.unwrap_err().to_string();
        assert!(
            text.contains("types other than `alloc::string::String` and `u64`"),
            "{text}"
        );
        drop((first, second));
        assert!(
            builder().ttl(t.units(LONG + 1)).build().await.is_ok(),
            "the last handle took its core along"
        );
    });
}

#[test]
fn a_drained_cache_loads_no_more() {
    for_each_topology(async |t: Topology| {
        let store = t.store().await;
        let cache = Cache::builder("n")
            .store(&store)
            .ttl(t.units(LONG))
            .source(Rows::of(7))
            .build()
            .await
            .unwrap();
        cache.get(&1).await.unwrap();
        assert!(cache.drain(t.units(LONG)).await.is_complete);
        assert!(cache.get(&2).await.is_err());
    });
}

#[test]
fn handles_are_cheap_and_go_anywhere() {
    fn shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    for_each_topology(async |t: Topology| {
        let store = t.store().await;
        let cache: Cache<u64, u64> = Cache::builder("n")
            .store(&store)
            .ttl(t.units(LONG))
            .build()
            .await
            .unwrap();
        shared(&cache);
        let elsewhere = cache.clone();
        let value =
            tokio::spawn(async move { elsewhere.get_or_load(&1, || async { Ok::<_, std::io::Error>(7) }).await });
        assert_eq!(*value.await.unwrap().unwrap(), 7);
    });
}
