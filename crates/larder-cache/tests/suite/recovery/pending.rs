//! Invalidations that the store did not acknowledge: told, quarantined, sent again, and only then trusted.

use larder_cache::{Cache, Delivery, LoadContext};
use larder_store::Store;
use larder_testkit::{RedisServer, Topology, eventually, for_each_topology, naive::CacheAside};

use super::cut::{Cut, SOON, numbers, settled, until};
use crate::behaviour::subject::{Rows, answers, fails, meanwhile};

async fn reads(cache: &Cache<u64, u64>, key: u64) -> Option<u64> {
    cache.get(&key).await.unwrap().map(|value| *value)
}

/// What a service does without Larder: it tries the DEL, logs the error and goes on.
#[test]
fn a_swallowed_del_leaves_the_old_value_until_its_ttl() {
    for_each_topology(async |t: Topology| {
        let (writer, rows) = (Cut::of(&t).await, Rows::of(1));
        let here = CacheAside::new(writer.store.clone());
        let there = CacheAside::new(t.another_store().await);
        let load = || async { rows.read(1).await.unwrap().unwrap() };
        assert_eq!(there.get("k", &[], load).await.unwrap(), 1);
        writer.down();
        rows.set(2);
        meanwhile(&t, here.invalidate("k")).await.unwrap_err();
        writer.up();
        until(&t, async || writer.store.ping().await.is_ok()).await;
        assert_eq!(
            here.get("k", &[], load).await.unwrap(),
            1,
            "stale, and nobody will mend it"
        );
        assert_eq!(there.get("k", &[], load).await.unwrap(), 1);
    });
}

#[test]
fn a_pending_key_is_read_from_the_source_and_everybody_is_right_after_the_outage() {
    for_each_topology(async |t: Topology| {
        let (cut, rows) = (Cut::of(&t).await, Rows::of(1));
        let here = cut.cache(|b| b.near(100).source(rows.clone())).await;
        let there = numbers(&t.another_store().await)
            .near(100)
            .source(rows.clone())
            .build()
            .await
            .unwrap();
        assert_eq!((reads(&there, 1).await, reads(&here, 1).await), (Some(1), Some(1)));
        cut.down();
        rows.set(2);
        let error = meanwhile(&t, here.invalidate(&1)).await.unwrap_err();
        assert!(error.is_pending(), "{error}");
        assert_eq!(here.stats().pending, 1);
        assert_eq!(
            meanwhile(&t, reads(&here, 1)).await,
            Some(2),
            "not the old value, from no tier"
        );
        assert_eq!(
            meanwhile(&t, here.get_many(&[1])).await.get(&1).map(|value| **value),
            Some(2)
        );
        assert!(!meanwhile(&t, here.contains(&1)).await.unwrap());
        assert!(here.stats().quarantined_reads >= 3);
        assert_eq!(
            reads(&there, 1).await,
            Some(1),
            "who reaches the store has not heard of it yet"
        );

        cut.up();
        settled(&t, &here).await;
        assert_eq!(reads(&here, 1).await, Some(2));
        until(&t, async || reads(&there, 1).await == Some(2)).await;
        let loads = rows.loads();
        assert_eq!(reads(&here, 1).await, Some(2));
        assert_eq!(rows.loads(), loads, "it is cached again");
    });
}

/// Reads reach the store again before the invalidation does: nothing but the quarantine keeps the old value away.
#[test]
fn a_quarantined_value_is_not_taken_from_a_store_that_has_it() {
    for_each_topology(async |t: Topology| {
        let (cut, rows) = (Cut::of(&t).await, Rows::of(1));
        let here = cut.cache(|b| b.near(100).source(rows.clone())).await;
        assert_eq!(reads(&here, 1).await, Some(1));
        cut.down();
        rows.set(2);
        meanwhile(&t, here.invalidate(&1)).await.unwrap_err();
        cut.up();
        // From the first moment of its return to the end of the quarantine and beyond.
        until(&t, async || {
            assert_eq!(reads(&here, 1).await, Some(2));
            here.stats().pending == 0
        })
        .await;
        assert_eq!(reads(&here, 1).await, Some(2));
    });
}

#[test]
fn without_a_loader_a_quarantined_read_is_a_miss() {
    for_each_topology(async |t: Topology| {
        let cut = Cut::of(&t).await;
        let cache = cut.cache(|b| b.near(100)).await;
        cache.put(&1, 7).await.unwrap();
        assert_eq!(reads(&cache, 1).await, Some(7));
        cut.down();
        let receipt = meanwhile(&t, cache.remove(&1)).await.unwrap();
        assert_eq!(receipt.invalidation(), Delivery::Pending);
        assert_eq!(reads(&cache, 1).await, None);
        assert!(cache.get_many(&[1]).await.is_empty());
        cut.up();
        until(&t, async || {
            assert_eq!(reads(&cache, 1).await, None);
            cache.stats().pending == 0
        })
        .await;
        assert_eq!(reads(&cache, 1).await, None, "dropped from the store too");
    });
}

#[test]
fn a_pending_tag_clear_or_pattern_keeps_the_whole_namespace_from_old_values() {
    for kind in ["tag", "clear", "pattern"] {
        for_each_topology(async |t: Topology| {
            let cut = Cut::of(&t).await;
            let here = cut.cache(|b| b.near(100)).await;
            let there = numbers(&t.another_store().await).build().await.unwrap();
            let load = |ctx: LoadContext<u64>| async move {
                ctx.tag("team");
                answers(1).await
            };
            here.get_or_load_with(&1, load).await.unwrap();
            cut.down();
            let work = async {
                match kind {
                    "tag" => here.invalidate_tag("team").await.unwrap_err(),
                    "clear" => here.clear().await.unwrap_err(),
                    _ => here.invalidate_matching("*").await.unwrap_err(),
                }
            };
            assert!(meanwhile(&t, work).await.is_pending());
            assert_eq!(*meanwhile(&t, here.get_or_load(&1, || answers(2))).await.unwrap(), 2);
            assert_eq!(*there.get_or_load(&1, fails).await.unwrap(), 1);
            cut.up();
            settled(&t, &here).await;
            assert_eq!(reads(&here, 1).await, None, "{kind}");
            assert_eq!(reads(&there, 1).await, None, "{kind}");
        });
    }
}

#[test]
fn a_cancelled_invalidation_goes_on_by_itself() {
    for_each_topology(async |t: Topology| {
        let cut = Cut::of(&t).await;
        let here = cut.cache(|b| b).await;
        let there = numbers(&t.another_store().await).build().await.unwrap();
        there.put(&1, 7).await.unwrap();
        cut.down();
        {
            let mut given_up = std::pin::pin!(here.invalidate(&1));
            // Its first attempt is on its way, or has failed; then its caller goes away.
            tokio::select! {
                biased;
                done = &mut given_up => panic!("the store is down, yet it ended with {done:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
        assert_eq!(here.stats().pending, 1);
        cut.up();
        settled(&t, &here).await;
        until(&t, async || reads(&there, 1).await.is_none()).await;
    });
}

#[test]
fn the_end_of_a_hold_that_is_not_acknowledged_is_sent_again() {
    for_each_topology(async |t: Topology| {
        let (cut, rows) = (Cut::of(&t).await, Rows::of(1));
        let here = cut.cache(|b| b.source(rows.clone())).await;
        let there = numbers(&t.another_store().await)
            .source(rows.clone())
            .build()
            .await
            .unwrap();
        let hold = here.hold(&1).await.unwrap();
        let commit = hold.commit(async {
            rows.set(2);
            cut.down();
            Ok::<_, std::io::Error>(())
        });
        assert!(meanwhile(&t, commit).await.unwrap_err().is_pending());
        assert_eq!(meanwhile(&t, reads(&here, 1)).await, Some(2));
        cut.up();
        settled(&t, &here).await;
        // The hold is over: what is loaded is stored again.
        for _ in 0..2 {
            assert_eq!(reads(&there, 1).await, Some(2));
        }
        assert!(there.contains(&1).await.unwrap());
    });
}

/// One end does nothing for another hold, which would keep its key from being cached for as long as it lasts.
#[test]
fn the_ends_of_two_holds_of_a_key_are_both_sent_again() {
    for_each_topology(async |t: Topology| {
        let cut = Cut::of(&t).await;
        let here = cut.cache(|b| b.hold_for(SOON * 1_000)).await;
        let there = numbers(&t.another_store().await).build().await.unwrap();
        let holds = [here.hold(&1).await.unwrap(), here.hold(&1).await.unwrap()];
        cut.down();
        drop(holds);
        assert_eq!(here.stats().pending, 1, "of one key");
        cut.up();
        settled(&t, &here).await;
        there.get_or_load(&1, || answers(7)).await.unwrap();
        assert!(there.contains(&1).await.unwrap(), "a hold is still open");
    });
}

/// It may stand although its answer was lost, and the second attempt reached nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_of_unknown_outcome_is_ended_when_the_next_attempt_fails_for_sure() {
    let server = RedisServer::start().await;
    let cut = Cut::of_port(server.port()).await;
    let here = cut.cache(|b| b.hold_for(SOON * 1_000)).await;
    let there = numbers(&Store::open(&server.url()).await.unwrap())
        .build()
        .await
        .unwrap();
    // Loads the script, which takes an answer.
    drop(here.hold(&2).await.unwrap());
    eventually(SOON, async || here.stats().pending == 0).await;
    cut.hold_replies();
    let hold = here.hold(&1);
    let trouble = async {
        let begun = || server.cli(&["--scan", "--pattern", "n:*:e:1"]).contains("e:1");
        eventually(SOON, async || begun()).await;
        cut.down();
    };
    let (refused, ()) = tokio::join!(hold, trouble);
    let refused = refused.unwrap_err();
    assert!(
        !refused.store_error().unwrap().is_unknown_outcome(),
        "the second attempt reached nobody: {refused:?}"
    );
    cut.up();
    eventually(SOON, async || here.stats().pending == 0).await;
    there.get_or_load(&1, || answers(7)).await.unwrap();
    assert!(there.contains(&1).await.unwrap(), "the hold is still open");
}

#[test]
fn a_value_put_after_a_pending_removal_is_read_at_once() {
    for_each_topology(async |t: Topology| {
        let cut = Cut::of(&t).await;
        let cache = cut.cache(|b| b).await;
        cache.put(&1, 7).await.unwrap();
        cut.down();
        meanwhile(&t, cache.remove(&1)).await.unwrap();
        cut.up();
        until(&t, async || cache.put(&1, 8).await.is_ok()).await;
        // The removal may have been on its way when the value came: then it is gone, but never the old one.
        until(&t, async || matches!(reads(&cache, 1).await, Some(8) | None)).await;
        settled(&t, &cache).await;
        assert_ne!(reads(&cache, 1).await, Some(7));
    });
}

#[test]
fn what_is_pending_does_not_count_as_present() {
    for_each_topology(async |t: Topology| {
        let cut = Cut::of(&t).await;
        let cache = cut.cache(|b| b).await;
        cache.put(&1, 7).await.unwrap();
        cut.down();
        meanwhile(&t, cache.remove(&1)).await.unwrap();
        assert!(!cache.touch(&1, SOON).await.unwrap());
        assert!(meanwhile(&t, cache.put_if_absent(&1, 8)).await.is_err());
        cut.up();
        until(&t, async || match cache.put_if_absent(&1, 8).await {
            Ok(stored) => {
                assert!(stored, "a value that was removed is not in the way");
                true
            }
            Err(_) => false,
        })
        .await;
    });
}

#[test]
fn too_many_pending_keys_become_one_clear() {
    for_each_topology(async |t: Topology| {
        let cut = Cut::of(&t).await;
        let here = cut.cache(|b| b.near(100)).await;
        let there = numbers(&t.another_store().await).build().await.unwrap();
        there.put(&1, 7).await.unwrap();
        there.put(&20_000, 7).await.unwrap();
        assert_eq!(reads(&here, 20_000).await, Some(7));
        cut.down();
        let keys: Vec<u64> = (0..10_001).collect();
        assert!(
            meanwhile(&t, here.invalidate_many(&keys))
                .await
                .unwrap_err()
                .is_pending()
        );
        assert_eq!(here.stats().pending, 1, "the whole namespace");
        assert_eq!(reads(&here, 20_000).await, None);
        cut.up();
        settled(&t, &here).await;
        assert_eq!((reads(&there, 1).await, reads(&there, 20_000).await), (None, None));
    });
}
