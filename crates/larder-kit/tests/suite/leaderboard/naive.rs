//! What is written by hand, shown failing, and the same with a board.

use larder_store::redis::AsyncCommands as _;
use larder_testkit::{Topology, for_each_topology};

use super::{Outcome, board, name, names};

#[test]
fn by_hand_ties_are_won_by_name_and_with_larder_by_who_was_first() {
    for_each_topology(async |t: Topology| -> Outcome {
        let mut store = t.store().await;
        let larder = board(&t).await?;
        for member in ["ada", "zoe"] {
            store
                .zadd::<_, _, _, ()>("by-hand", member, 50)
                .await
                .expect("it is added");
            larder.set(&name(member), 50.0).await?;
        }
        let by_hand: Vec<String> = store.zrevrange("by-hand", 0, -1).await.expect("it is read");
        assert_eq!(by_hand, ["zoe", "ada"], "ada was first, and is second");
        assert_eq!(names(&larder.top(2).await?), ["ada", "zoe"]);
        Ok(())
    });
}

#[test]
fn by_hand_a_better_score_is_lost_and_with_larder_it_stays() {
    for_each_topology(async |t: Topology| -> Outcome {
        let (mut one, mut other) = (t.store().await, t.another_store().await);
        one.zadd::<_, _, _, ()>("by-hand", "ada", 10)
            .await
            .expect("it is added");
        // Both read, both have something better, and the worse of them writes last.
        let seen_by_one: f64 = one.zscore("by-hand", "ada").await.expect("it is read");
        let seen_by_other: f64 = other.zscore("by-hand", "ada").await.expect("it is read");
        assert!(seen_by_other < 30.0 && seen_by_one < 20.0);
        other
            .zadd::<_, _, _, ()>("by-hand", "ada", 30)
            .await
            .expect("it is added");
        one.zadd::<_, _, _, ()>("by-hand", "ada", 20)
            .await
            .expect("it is added");
        let by_hand: f64 = one.zscore("by-hand", "ada").await.expect("it is read");
        assert_eq!(by_hand, 20.0, "the thirty is lost");

        let board = board(&t).await?;
        board.set(&name("ada"), 10.0).await?;
        let ada = name("ada");
        for (first, second) in [(30.0, 20.0), (20.0, 30.0)] {
            board.set(&ada, 10.0).await?;
            let (one, other) = tokio::join!(board.set_if_better(&ada, first), board.set_if_better(&ada, second));
            one?;
            other?;
            assert_eq!(board.score(&ada).await?, Some(30.0));
        }
        Ok(())
    });
}

#[test]
fn of_many_at_once_every_point_counts() {
    for_each_topology(async |t: Topology| -> Outcome {
        let board = board(&t).await?;
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..8u32 {
            let board = board.clone();
            tasks.spawn(async move {
                for _ in 0..25 {
                    board.increment(&name("ada"), 1.0).await?;
                    board.set_if_better(&name("bob"), f64::from(task)).await?;
                }
                Ok::<_, larder_kit::leaderboard::LeaderboardError>(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.expect("it does not panic")?;
        }
        assert_eq!(board.score(&name("ada")).await?, Some(200.0));
        assert_eq!(board.score(&name("bob")).await?, Some(7.0));
        assert_eq!(board.count().await?, 2);
        Ok(())
    });
}
