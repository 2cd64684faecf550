//! What is written by hand with a list, shown failing, and the same with a timeline.

use larder_kit::timeline::TimelineError;
use larder_store::{Store, redis::AsyncCommands as _};
use larder_testkit::{Topology, for_each_topology};

use super::{Outcome, ids, timeline};

const KEY: &str = "by-hand";

/// `SELECT .. ORDER BY created DESC`.
fn rows() -> Vec<u64> {
    (1..=10).rev().collect()
}

async fn list(store: &Store, from: isize, to: isize) -> Vec<u64> {
    store.clone().lrange(KEY, from, to).await.expect("it is read")
}

#[test]
fn by_hand_two_rebuilds_append_twice() {
    for_each_topology(async |t: Topology| -> Outcome {
        let (mut one, mut other) = (t.store().await, t.another_store().await);
        // Both find it missing, and both fill it.
        let missing = list(&one, 0, -1).await.is_empty() && list(&other, 0, -1).await.is_empty();
        assert!(missing);
        one.rpush::<_, _, ()>(KEY, rows()).await.expect("it is filled");
        other.rpush::<_, _, ()>(KEY, rows()).await.expect("it is filled");
        assert_eq!(list(&one, 0, -1).await.len(), 20, "everything is there twice");

        let home = timeline(&t).await?;
        let (one, other) = (home.rebuild(&7).await?, home.rebuild(&7).await?);
        let source = || rows().into_iter().map(|id| (id, id * 10));
        let (one, other) = tokio::join!(one.finish(source()), other.finish(source()));
        one?;
        other?;
        assert_eq!(ids(&home.page(&7, None, 100).await?), rows());
        Ok(())
    });
}

#[test]
fn by_hand_the_newest_is_at_the_wrong_end() {
    for_each_topology(async |t: Topology| -> Outcome {
        let mut store = t.store().await;
        // The rows come newest first, and LPUSH turns them over.
        store.lpush::<_, _, ()>(KEY, rows()).await.expect("it is filled");
        assert_eq!(list(&store, 0, 0).await, [1], "the oldest is at the front");
        // And the cap, which is right for live appends, cuts off the newest.
        store.ltrim::<_, ()>(KEY, 0, 4).await.expect("it is cut");
        assert!(!list(&store, 0, -1).await.contains(&10));

        let home = super::building(&t).await.capacity(5).build()?;
        for order in [rows(), rows().into_iter().rev().collect()] {
            home.rebuild(&7)
                .await?
                .finish(order.into_iter().map(|id| (id, id * 10)))
                .await?;
            assert_eq!(ids(&home.page(&7, None, 100).await?), [10, 9, 8, 7, 6]);
        }
        Ok(())
    });
}

#[test]
fn by_hand_pages_by_number_repeat_what_moved() {
    for_each_topology(async |t: Topology| -> Outcome {
        let mut store = t.store().await;
        store.rpush::<_, _, ()>(KEY, rows()).await.expect("it is filled");
        let first = list(&store, 0, 2).await;
        store.lpush::<_, _, ()>(KEY, 11).await.expect("one comes in");
        let second = list(&store, 3, 5).await;
        assert!(second.contains(&first[2]), "{first:?} and {second:?} share an item");

        let home = timeline(&t).await?;
        home.rebuild(&7)
            .await?
            .finish(rows().into_iter().map(|id| (id, id * 10)))
            .await?;
        let first = home.page(&7, None, 3).await?;
        home.append(&7, &11, 110).await?;
        let second = home.page(&7, first.next.as_ref(), 3).await?;
        assert_eq!((ids(&first), ids(&second)), (vec![10, 9, 8], vec![7, 6, 5]));
        Ok::<_, TimelineError>(())
    });
}
