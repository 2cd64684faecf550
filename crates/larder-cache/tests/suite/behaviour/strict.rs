//! `Consistency::Strict`: a commit waits until no near tier can have a copy from before.

use std::{io, time::Duration};

use larder_cache::{Cache, Coherence, Consistency, OnStoreDown};
use larder_store::{Store, StoreConfig};
use larder_testkit::{Kind, Proxy, Topology, for_each_topology};

use super::subject::{LONG, Numbers, Rows, build, meanwhile};

/// How long a near tier may be behind, in units of time.
const BOUND: u32 = 10;

/// The same where a copy has to serve for a while without news, on a machine that may be busy.
const WIDE_BOUND: u32 = 40;

/// A cache with a near tier whose news of changes come through a proxy.
async fn far_away(t: &Topology, rows: &Rows) -> Option<(Proxy, Numbers)> {
    let proxy = Proxy::start(t.port()?).await.expect("loopback has a free port");
    let config = StoreConfig::tcp("127.0.0.1", proxy.port())
        .clock(t.clock().clone())
        .read_timeout(t.units(LONG))
        .write_timeout(t.units(LONG));
    let store = Store::connect(config).await.expect("the proxy lets it through");
    let builder = Cache::builder("n")
        .store(&store)
        .near(100)
        .max_staleness(t.units(WIDE_BOUND))
        .ttl(t.units(4_000))
        .jitter(0.0)
        .source(rows.clone());
    Some((proxy, builder.build().await.unwrap()))
}

/// What a reader with a near copy, cut off from all news, reads once a writer's commit is visible.
async fn seen_after_a_commit(t: &Topology, consistency: Consistency) -> Option<u64> {
    let rows = Rows::of(7);
    let (proxy, reader) = far_away(t, &rows).await?;
    let writer = build(t, |b| b.consistency(consistency).max_staleness(t.units(WIDE_BOUND))).await;
    while reader.stats().near_hits == 0 {
        meanwhile(t, reader.get(&1)).await.unwrap();
    }
    proxy.hold_replies();
    let hold = meanwhile(t, writer.hold(&1)).await.unwrap();
    let commit = async {
        rows.set(8);
        // Visible: whoever reads from here on must not see 7. What was held back is let through only for the reader's
        // requests to be answered; a near copy that may be served needs none.
        let near_hits = reader.stats().near_hits;
        let mut reading = Box::pin(reader.get(&1));
        let seen = match futures_util::poll!(reading.as_mut()) {
            std::task::Poll::Ready(seen) => seen,
            std::task::Poll::Pending => {
                proxy.let_pass();
                meanwhile(t, reading).await
            }
        };
        Ok::<_, io::Error>((seen.unwrap().map(|value| *value), reader.stats().near_hits - near_hits))
    };
    let committed = meanwhile(t, hold.commit(commit)).await.unwrap();
    assert!(committed.held);
    committed.value.0
}

#[test]
fn a_near_tier_without_news_is_waited_for() {
    for_each_topology(async |t: Topology| {
        if let Some(seen) = seen_after_a_commit(&t, Consistency::Bounded).await {
            assert_eq!(seen, 7, "within its bound a near tier may be behind");
        }
    });
    for_each_topology(async |t: Topology| {
        if let Some(seen) = seen_after_a_commit(&t, Consistency::Strict).await {
            assert_eq!(seen, 8);
        }
    });
}

/// How long a commit of this cache waits.
async fn wait_of(t: &Topology, cache: &Numbers) -> Duration {
    let hold = cache.hold(&1).await.unwrap();
    let began = t.clock().monotonic();
    let commit = async { Ok::<_, io::Error>(t.clock().monotonic() - began) };
    meanwhile(t, hold.commit(commit)).await.unwrap().value
}

#[test]
fn the_wait_is_the_bound_and_is_taken_where_near_tiers_may_be() {
    for_each_topology(async |t: Topology| {
        let strict = |b: larder_cache::CacheBuilder<u64, u64>| b.consistency(Consistency::Strict);
        let cache = build(&t, |b| strict(b).max_staleness(t.units(BOUND))).await;
        let waited = wait_of(&t, &cache).await;
        if t.kind() == Kind::Embedded {
            assert!(waited.is_zero(), "nothing is ever behind here: {waited:?}");
            return;
        }
        assert!(waited >= t.units(BOUND), "{waited:?}");

        let max_staleness = t.units(BOUND + 4);
        let cache = build(&t, |b| strict(b).coherence(Coherence::TtlOnly { max_staleness })).await;
        assert!(wait_of(&t, &cache).await >= max_staleness);

        // Where the clock stands still unless it is moved, it is seen that these do not wait for it.
        if t.kind() == Kind::Serve {
            let cache = build(&t, |b| strict(b).max_staleness(Duration::ZERO)).await;
            assert!(wait_of(&t, &cache).await.is_zero(), "no process has a near tier");
            let cache = build(&t, |b| b.max_staleness(t.units(BOUND))).await;
            assert!(wait_of(&t, &cache).await.is_zero(), "bounded");
        }
    });
}

#[test]
fn what_was_done_since_the_hold_began_counts_for_the_wait() {
    for_each_topology(async |t: Topology| {
        if t.kind() != Kind::Serve {
            return;
        }
        let cache = build(&t, |b| b.consistency(Consistency::Strict).max_staleness(t.units(BOUND))).await;
        let hold = cache.hold(&1).await.unwrap();
        t.advance(BOUND + 1).await;
        let before = t.clock().monotonic();
        let _committed = hold.commit(async { Ok::<_, io::Error>(()) }).await.unwrap();
        assert_eq!(t.clock().monotonic(), before);
    });
}

#[test]
fn a_strict_commit_does_not_begin_late_in_its_hold() {
    for_each_topology(async |t: Topology| {
        let hold_for = t.units(4 * BOUND);
        let cache = build(&t, |b| {
            b.consistency(Consistency::Strict)
                .max_staleness(t.units(BOUND))
                .hold_for(hold_for)
        })
        .await;
        let hold = cache.hold(&1).await.unwrap();
        t.advance(4 * BOUND - 1).await;
        let never = async { panic!("it was run") as Result<(), io::Error> };
        let error = hold.commit(never).await.unwrap_err();
        assert!(error.to_string().contains("hold_for"), "{error}");
    });
}

#[test]
fn contradictions_of_strict_writes_are_refused_by_name() {
    for_each_topology(async |t: Topology| {
        let store = t.store().await;
        let strict = || {
            Cache::<u64, u64>::builder("n")
                .store(&store)
                .ttl(t.units(LONG))
                .consistency(Consistency::Strict)
        };
        let max_stale = t.units(1);
        let serve_near = strict().near(1).on_store_down(OnStoreDown::ServeNear { max_stale });
        let short = strict().max_staleness(t.units(20)).hold_for(t.units(30));
        let no_near = strict().near(1).max_staleness(Duration::ZERO);
        for (builder, names) in [
            (serve_near, ["Strict", "ServeNear"]),
            (short, ["hold_for", "max_staleness"]),
            (no_near, ["max_staleness", "near(0)"]),
        ] {
            let text = builder.build().await.expect_err("it contradicts itself").to_string();
            assert!(names.iter().all(|name| text.contains(name)), "{names:?} in {text}");
        }
    });
}
