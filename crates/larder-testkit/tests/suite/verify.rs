//! A run of `verify` finds what it is told to look for, on a server that it watches.

use std::sync::Arc;

use larder_base::{Clock, Random};
use larder_store::Store;
use larder_testkit::{
    LarderServer, RedisServer, Wire,
    history::{Bounds, Rule, Served},
    verify::{self, Invalidated, Outcome, Plan, Rows, Seen, Subject, Written},
};

/// No cache at all: every read loads, beside all others.
struct Nothing {
    /// It acknowledges writes that it drops.
    forgets: bool,
}

impl Subject for Nothing {
    async fn read(&self, process: u32, key: u64, rows: &Arc<Rows>) -> Option<Seen> {
        Some(Seen {
            version: rows.load(process, key).await,
            served: Served::Loaded,
            overdue: 0,
        })
    }

    async fn invalidate(&self, _: u64, _: u64) -> Invalidated {
        Invalidated {
            acknowledged: true,
            everything: false,
        }
    }

    async fn write(&self, key: u64, _: u64, rows: &Arc<Rows>) -> Written {
        let (version, committed) = if self.forgets {
            (rows.version(key) + 1, rows.recorder().now())
        } else {
            rows.commit(key)
        };
        Written {
            version,
            committed,
            invalidated: self.invalidate(key, 0).await,
            held_since: None,
        }
    }

    async fn cached(&self, _: u64) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}

async fn run(watched: Option<Store>, ops: u64, forgets: bool) -> Outcome {
    let plan = Plan {
        ops,
        watched,
        ..Plan::default()
    };
    let subjects = vec![Nothing { forgets }, Nothing { forgets }];
    let (clock, random) = (Clock::system(), Random::seeded(1));
    verify::run(&plan, subjects, Bounds::default(), &clock, &random, |_| async {}).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_acknowledged_and_dropped_is_counted() {
    let kept = run(None, 500, false).await;
    assert_eq!(kept.lost_writes, 0);
    let lost = run(None, 500, true).await;
    assert_eq!(lost.lost_writes, lost.report.writes);
    assert!(lost.lost_writes > 0 && !lost.is_clean());
}

/// The run, with `trouble` made until it ends.
async fn troubled(url: &str, trouble: impl AsyncFn()) -> Outcome {
    let store = Store::open(url).await.expect("it runs");
    let running = tokio::spawn(run(Some(store), 2_000, false));
    while !running.is_finished() {
        trouble().await;
    }
    running.await.expect("it ends")
}

/// Fills four megabytes. What the server says is its business: it may have no room.
async fn fill(port: u16) {
    const FILL: &str = "for i = 1, 4000 do redis.call('SET', 'noise' .. i, string.rep('x', 1000)) end";
    let filled = tokio::task::spawn_blocking(move || drop(Wire::tcp(port).call(&["EVAL", FILL, "0"])));
    filled.await.expect("the server answers");
}

#[tokio::test(flavor = "multi_thread")]
async fn overlaps_are_judged_on_a_server_that_loses_nothing() {
    let redis = RedisServer::start().await;
    let store = Store::open(&redis.url()).await.expect("it runs");
    let calm = run(Some(store), 2_000, false).await;
    let losses = calm.losses;
    let server = [
        losses.restarts,
        losses.evicted_keys,
        losses.out_of_memory,
        losses.flushes,
    ];
    assert_eq!(server, [0; 4], "{losses:?}");
    assert!(calm.report.count(Rule::C7) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn overlaps_are_not_judged_where_the_server_lost_leases() {
    let full = |policy| ["--maxmemory", "3mb", "--maxmemory-policy", policy];
    for policy in ["allkeys-random", "noeviction"] {
        let redis = RedisServer::start_with(&full(policy)).await;
        let larder = LarderServer::start_with(&full(policy));
        for (url, port) in [(redis.url(), redis.port()), (larder.url(), larder.port())] {
            let run = troubled(&url, async || fill(port).await).await;
            let losses = run.losses;
            let counted = if policy == "noeviction" {
                losses.out_of_memory
            } else {
                losses.evicted_keys
            };
            assert!(
                counted > 0 && run.report.overlaps_not_judged > 0,
                "{policy} on {url}: {losses:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_and_a_restart_are_seen() {
    let redis = RedisServer::start().await;
    let flushed = troubled(&redis.url(), async || drop(redis.cli(&["FLUSHALL"]))).await;
    assert!(
        flushed.losses.flushes > 0 && flushed.report.overlaps_not_judged > 0,
        "{flushed:?}"
    );
    let redis = tokio::sync::Mutex::new(redis);
    let url = redis.lock().await.url();
    let restarted = troubled(&url, async || redis.lock().await.restart_empty().await).await;
    // Another run, or none that answered yet.
    let losses = restarted.losses;
    assert!(losses.restarts + losses.silences > 0, "{losses:?}");
    assert!(restarted.report.overlaps_not_judged > 0);
}
