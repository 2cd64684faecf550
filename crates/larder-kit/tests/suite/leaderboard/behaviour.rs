//! What a board does, on every store.

use larder_kit::{
    Retention,
    leaderboard::{BATCH_MAX, Leaderboard, LeaderboardError, Merge, Order},
};
use larder_testkit::{Topology, for_each_topology};

use super::{DAY, Outcome, board, building, name, names};
use crate::immortal::no_immortal_keys;

#[test]
pub(super) fn scores_are_set_added_and_bettered_and_each_answers_with_its_place() {
    for_each_topology(async |t: Topology| -> Outcome {
        let board = board(&t).await?;
        let first = board.set(&name("ada"), 10.0).await?;
        assert_eq!((first.score, first.rank, first.changed), (10.0, 1, true));
        let second = board.increment(&name("bob"), 4.0).await?;
        assert_eq!((second.score, second.rank, second.changed), (4.0, 2, true));
        let ahead = board.increment(&name("bob"), 7.5).await?;
        assert_eq!((ahead.score, ahead.rank, ahead.changed), (11.5, 1, true));
        let worse = board.set_if_better(&name("bob"), 3.0).await?;
        assert_eq!((worse.score, worse.rank, worse.changed), (11.5, 1, false));
        let better = board.set_if_better(&name("ada"), 12.0).await?;
        assert_eq!((better.score, better.rank, better.changed), (12.0, 1, true));
        let lower = board.set(&name("ada"), -1.0).await?;
        assert_eq!((lower.score, lower.rank, lower.changed), (-1.0, 2, true));
        assert_eq!(board.rank(&name("bob")).await?, Some(1));
        assert_eq!(board.score(&name("ada")).await?, Some(-1.0));
        assert_eq!(board.rank(&name("nobody")).await?, None);
        assert_eq!(board.count().await?, 2);
        no_immortal_keys(&t, 2);
        Ok(())
    });
}

#[test]
pub(super) fn of_equal_scores_the_first_reached_is_ahead() {
    for_each_topology(async |t: Topology| -> Outcome {
        for (namespace, order) in [("high", Order::HighestFirst), ("low", Order::LowestFirst)] {
            let board = building(&t, namespace).await.order(order).build()?;
            // Neither alphabetical nor the reverse.
            for member in ["mia", "zoe", "ada"] {
                board.set(&name(member), 50.0).await?;
            }
            assert_eq!(names(&board.top(3).await?), ["mia", "zoe", "ada"], "{order:?}");
            // The same again is nothing new.
            board.set(&name("mia"), 50.0).await?;
            board.set_if_better(&name("mia"), 50.0).await?;
            board.increment(&name("mia"), 0.0).await?;
            assert_eq!(names(&board.top(3).await?), ["mia", "zoe", "ada"], "{order:?}");
            // Who left it and came back reached it last.
            board.set(&name("mia"), 49.0).await?;
            board.set(&name("mia"), 50.0).await?;
            assert_eq!(names(&board.top(3).await?), ["zoe", "ada", "mia"], "{order:?}");
            assert_eq!(board.rank(&name("mia")).await?, Some(3));
            assert_eq!(board.count().await?, 3, "a change leaves no second entry");
        }
        Ok(())
    });
}

#[test]
pub(super) fn low_scores_are_ahead_where_that_is_the_order() {
    for_each_topology(async |t: Topology| -> Outcome {
        let laps = building(&t, "laps").await.order(Order::LowestFirst).build()?;
        assert_eq!(laps.set_if_better(&name("ada"), 61.5).await?.rank, 1);
        assert_eq!(laps.set_if_better(&name("bob"), 59.2).await?.rank, 1);
        assert!(!laps.set_if_better(&name("bob"), 60.0).await?.changed);
        assert!(laps.set_if_better(&name("ada"), 58.9).await?.changed);
        assert_eq!(names(&laps.top(10).await?), ["ada", "bob"]);
        assert_eq!(laps.around(&name("bob"), 1).await?.map(|found| found[0].rank), Some(1));
        Ok(())
    });
}

#[test]
pub(super) fn pages_and_neighbours_are_in_order_with_their_ranks() {
    for_each_topology(async |t: Topology| -> Outcome {
        let board: Leaderboard<u64> = Leaderboard::builder("game")
            .store(&t.store().await)
            .retention(Retention::For(DAY))
            .build()?;
        assert_eq!(board.load((1..=50).map(|id| (id, -(id as f64)))).await?, 50);
        let ids = |standings: Vec<larder_kit::leaderboard::Standing<u64>>| -> Vec<(u64, u64)> {
            standings.into_iter().map(|found| (found.member, found.rank)).collect()
        };
        assert_eq!(ids(board.top(3).await?), [(1, 1), (2, 2), (3, 3)]);
        assert_eq!(ids(board.page(48, 10).await?), [(49, 49), (50, 50)]);
        assert_eq!(ids(board.page(50, 10).await?), []);
        assert_eq!(ids(board.page(u64::MAX, 10).await?), []);
        assert_eq!(ids(board.top(0).await?), []);
        let around = async |id, count| Ok::<_, LeaderboardError>(board.around(&id, count).await?.map(ids));
        assert_eq!(around(20, 1).await?, Some(vec![(19, 19), (20, 20), (21, 21)]));
        assert_eq!(around(20, 0).await?, Some(vec![(20, 20)]));
        assert_eq!(around(1, 2).await?, Some(vec![(1, 1), (2, 2), (3, 3)]));
        assert_eq!(around(50, 2).await?, Some(vec![(48, 48), (49, 49), (50, 50)]));
        assert_eq!(around(51, 2).await?, None);
        let places = board.places(&[50, 99, 7]).await?;
        let places: Vec<_> = places
            .into_iter()
            .map(|place| place.map(|found| (found.rank, found.score)))
            .collect();
        assert_eq!(places, [Some((50, -50.0)), None, Some((7, -7.0))]);
        Ok(())
    });
}

#[test]
pub(super) fn every_finite_score_is_kept_exactly_and_no_other_is_taken() {
    for_each_topology(async |t: Topology| -> Outcome {
        let board = board(&t).await?;
        let scores = [
            0.1,
            -0.0,
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
            5e-324,
            1.0 / 3.0,
            9_007_199_254_740_991.0,
            1_700_000_000_123_456.0,
        ];
        for score in scores {
            assert_eq!(board.set(&name("ada"), score).await?.score, score, "{score:e}");
            assert_eq!(board.score(&name("ada")).await?, Some(score), "{score:e}");
        }
        // What scores that carry their tie-break inside cannot hold apart.
        board.set(&name("a"), 9_007_199_254_740_990.0).await?;
        board.set(&name("b"), 9_007_199_254_740_991.0).await?;
        assert_eq!(
            board.places(&[name("b"), name("a")]).await?[0].as_ref().map(|b| b.rank),
            Some(1)
        );
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(matches!(
                board.set(&name("ada"), bad).await,
                Err(LeaderboardError::NotFinite)
            ));
        }
        board.set(&name("ada"), f64::MAX).await?;
        let over = board.increment(&name("ada"), f64::MAX).await;
        assert!(matches!(over, Err(LeaderboardError::NotFinite)), "{over:?}");
        assert_eq!(board.score(&name("ada")).await?, Some(f64::MAX));
        Ok(())
    });
}

#[test]
pub(super) fn who_is_removed_is_gone_and_begins_anew() {
    for_each_topology(async |t: Topology| -> Outcome {
        let board = board(&t).await?;
        board
            .load(["a", "b", "c", "d"].map(|member| (name(member), 5.0)))
            .await?;
        assert!(board.remove(&name("a")).await?);
        assert!(!board.remove(&name("a")).await?);
        assert_eq!(board.rank(&name("b")).await?, Some(1));
        let stamps = t.wire().call(&["HLEN", "board:{game:all}main#stamps"]);
        assert_eq!(
            stamps.expect("the server answers").int(),
            3 + 1,
            "those who are there, and the count"
        );
        board.set(&name("a"), 5.0).await?;
        assert_eq!(names(&board.top(9).await?), ["b", "c", "d", "a"]);
        assert_eq!(board.remove_many(&[name("b"), name("x"), name("c")]).await?, 2);
        assert_eq!(board.clear().await?, 2);
        assert_eq!(board.count().await?, 0);
        assert_eq!(t.wire().call(&["DBSIZE"]).expect("the server answers").int(), 0);
        // The last one to go takes all keys along, too.
        board.set(&name("a"), 1.0).await?;
        board.remove(&name("a")).await?;
        assert_eq!(t.wire().call(&["DBSIZE"]).expect("the server answers").int(), 0);
        assert_eq!(board.increment(&name("a"), 2.0).await?.score, 2.0);
        Ok(())
    });
}

#[test]
pub(super) fn a_load_of_more_than_a_batch_is_done_in_several_and_may_be_repeated() {
    for_each_topology(async |t: Topology| -> Outcome {
        let board = board(&t).await?;
        let many = 2 * BATCH_MAX + 1;
        let scores = || (0..many).map(|at| (format!("member-{at}"), (at % 7) as f64));
        assert_eq!(board.load(scores()).await?, many);
        assert_eq!(board.load(scores()).await?, 0);
        assert_eq!(board.count().await?, many);
        // Of equal scores in the order of the load.
        assert_eq!(names(&board.top(2).await?), ["member-6", "member-13"]);
        assert_eq!(board.load([]).await?, 0);
        no_immortal_keys(&t, 2);
        Ok(())
    });
}

#[test]
pub(super) fn boards_of_a_group_are_merged() {
    for_each_topology(async |t: Topology| -> Outcome {
        let one = building(&t, "game").await.name("eu").build()?;
        let other = building(&t, "game").await.name("us").build()?;
        one.load([(name("ada"), 10.0), (name("bob"), 7.0)]).await?;
        other.load([(name("bob"), 6.0), (name("cy"), 10.0)]).await?;
        let both = [one.clone(), other.clone()];
        let shown = |standings: Vec<larder_kit::leaderboard::Standing<String>>| -> Vec<(String, f64, u64)> {
            standings
                .into_iter()
                .map(|found| (found.member, found.score, found.rank))
                .collect()
        };
        let sum = shown(Leaderboard::merged(&both, Merge::Sum, 9).await?);
        assert_eq!(
            sum,
            [(name("bob"), 13.0, 1), (name("ada"), 10.0, 2), (name("cy"), 10.0, 3)]
        );
        let best = shown(Leaderboard::merged(&both, Merge::Best, 2).await?);
        assert_eq!(best, [(name("ada"), 10.0, 1), (name("cy"), 10.0, 2)]);
        let elsewhere = building(&t, "game").await.group(&7u64).build()?;
        for bad in [vec![], vec![one.clone(), elsewhere], vec![one.clone(); 65]] {
            let refused = Leaderboard::merged(&bad, Merge::Sum, 9).await;
            assert!(matches!(refused, Err(LeaderboardError::NotOfOneKind)), "{refused:?}");
        }
        let low = building(&t, "laps").await.order(Order::LowestFirst).build()?;
        low.load([(name("ada"), 3.0), (name("bob"), 2.0)]).await?;
        let best = shown(Leaderboard::merged(&[low.clone(), low], Merge::Best, 1).await?);
        assert_eq!(best, [(name("bob"), 2.0, 1)]);
        Ok(())
    });
}

#[test]
pub(super) fn a_board_that_lost_a_key_says_so() {
    for_each_topology(async |t: Topology| -> Outcome {
        for lost in ["board:{game:all}main", "board:{game:all}main#stamps"] {
            let board = board(&t).await?;
            board.set(&name("ada"), 1.0).await?;
            t.wire().call(&["DEL", lost]).expect("the server answers");
            let error = board.set(&name("ada"), 2.0).await.expect_err("half a board");
            assert!(error.is_damaged() && !error.is_config(), "{error}");
            board.clear().await?;
            assert_eq!(board.set(&name("ada"), 2.0).await?.rank, 1);
        }
        Ok(())
    });
}

#[test]
fn what_cannot_be_meant_is_refused_by_name() {
    for_each_topology(async |t: Topology| -> Outcome {
        let store = t.store().await;
        let builder = || Leaderboard::<String>::builder("game").retention(Retention::Forever);
        for (wrong, names) in [
            (builder().build(), "store"),
            (Leaderboard::builder("game").store(&store).build(), "retention"),
            (Leaderboard::builder("Game").store(&store).build(), "Game"),
            (builder().store(&store).name("a b").build(), "a b"),
            (
                builder()
                    .store(&store)
                    .retention(Retention::For(Default::default()))
                    .build(),
                "millisecond",
            ),
            (
                builder()
                    .store(&store)
                    .window(larder_kit::Window::Every(Default::default()))
                    .build(),
                "windows",
            ),
        ] {
            let error = wrong.expect_err("it is wrong");
            assert!(error.is_config() && error.to_string().contains(names), "{error}");
        }
        let board = board(&t).await?;
        let long = board.set(&"x".repeat(513), 1.0).await.expect_err("too long");
        assert!(matches!(long, LeaderboardError::MemberTooLong { bytes: 513 }), "{long}");
        let many = board.top(BATCH_MAX + 1).await.expect_err("too many");
        assert!(matches!(many, LeaderboardError::TooMany { .. }), "{many}");
        assert!(board.around(&name("a"), u64::MAX).await.is_err());
        board.set(&name("ada"), 1.0).await?;
        let ids: Leaderboard<u64> = Leaderboard::builder("game")
            .store(&store)
            .retention(Retention::For(DAY))
            .build()?;
        let other = ids.top(1).await.expect_err("ada is no number");
        assert!(other.to_string().contains("ada"), "{other}");
        t.wire()
            .call(&["SET", "board:{taken:all}main", "x"])
            .expect("the server answers");
        let taken = building(&t, "taken")
            .await
            .build()?
            .count()
            .await
            .expect_err("a string");
        assert!(
            taken.store().is_some_and(larder_store::StoreError::is_wrong_type),
            "{taken}"
        );
        Ok(())
    });
}
