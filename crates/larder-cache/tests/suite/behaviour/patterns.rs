//! Invalidation by pattern on a store that is full of other keys.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use larder_store::{
    Store,
    redis::{self, aio::ConnectionLike as _},
};
use larder_testkit::{Kind, Topology, for_each_topology};

use super::subject::{Numbers, build};

/// Keys of somebody else, so many that a walk has some two hundred steps.
async fn crowd(store: &Store) {
    const KEYS: usize = 100_000;
    const STEP: usize = 5_000;
    for first in (0..KEYS).step_by(STEP) {
        let mut set = redis::cmd("MSET");
        for key in first..first + STEP {
            set.arg(format!("other:{key}")).arg("x");
        }
        store.clone().req_packed_command(&set).await.unwrap();
    }
}

async fn filled(t: &Topology, keys: u64) -> Numbers {
    let cache = build(t, |b| b).await;
    cache.put_many((0..keys).map(|key| (key, key))).await.unwrap();
    cache
}

#[test]
fn a_pattern_finds_its_keys_among_a_hundred_thousand_and_tells_how_far_it_is() {
    for_each_topology(async |t: Topology| {
        let store = t.store().await;
        crowd(&store).await;
        let cache = filled(&t, 300).await;
        let (steps, last) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (counted, seen) = (steps.clone(), last.clone());
        let found = cache.invalidate_matching("1*").progress(move |done| {
            counted.fetch_add(1, Ordering::SeqCst);
            let before = seen.swap(done, Ordering::SeqCst);
            assert!(done >= before, "it never goes back");
        });
        assert_eq!(found.await.unwrap(), 111);
        assert_eq!(last.load(Ordering::SeqCst), 111);
        assert!(steps.load(Ordering::SeqCst) > 100, "in small steps");
        let keys: Vec<u64> = (0..300).collect();
        let left = cache.get_many(&keys).await;
        assert_eq!(left.len(), 189);
        assert!(left.iter().all(|(key, _)| !key.to_string().starts_with('1')));
        let size: u64 = redis::cmd("DBSIZE").query_async(&mut store.clone()).await.unwrap();
        assert!(size >= 100_000 + 189, "nobody else's key went: {size}");
        if t.kind() != Kind::Embedded {
            let stats: String = redis::cmd("INFO")
                .arg("commandstats")
                .query_async(&mut store.clone())
                .await
                .unwrap();
            assert!(!stats.contains("cmdstat_keys:"), "KEYS stops a server: {stats}");
        }
    });
}

#[test]
fn an_abandoned_pattern_leaves_the_rest_as_it_was() {
    for_each_topology(async |t: Topology| {
        // Some of its keys before the crowd and some behind, so that no one step finds them all.
        let cache = filled(&t, 150).await;
        crowd(&t.store().await).await;
        cache.put_many((150..300).map(|key| (key, key))).await.unwrap();
        let enough = Arc::new(tokio::sync::Notify::new());
        let told = enough.clone();
        let walk = cache.invalidate_matching("*").progress(move |done| {
            if done > 0 {
                told.notify_one();
            }
        });
        tokio::select! {
            biased;
            () = enough.notified() => {}
            done = walk => panic!("it was to be abandoned, and ended with {done:?}"),
        }
        let keys: Vec<u64> = (0..300).collect();
        let left = cache.get_many(&keys).await.len();
        assert!((1..300).contains(&left), "{left} left");
        assert_eq!(cache.invalidate_matching("*").await.unwrap() as usize, left);
        assert!(cache.get_many(&keys).await.is_empty());
    });
}

#[test]
pub(crate) fn a_writers_hold_stays_and_still_keeps_fills_out() {
    for_each_topology(async |t: Topology| {
        let cache = filled(&t, 10).await;
        let hold = cache.hold(&1).await.unwrap();
        cache.invalidate_matching("1").await.unwrap();
        let refused = cache.put(&1, 7).await.unwrap_err();
        assert!(refused.is_held(), "{refused:?}");
        drop(hold);
    });
}
