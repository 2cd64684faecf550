//! Pipelines: a bounded number of commands per round trip, each with its own outcome.

use larder_kit::transaction::Pipelined;
use larder_testkit::{Topology, for_each_topology};
use redis::{AsyncCommands as _, Cmd};

fn incr(n: usize) -> Cmd {
    redis::cmd("INCR").arg(format!("n:{n}")).to_owned()
}

#[test]
fn every_command_has_its_own_outcome_in_its_place() {
    for_each_topology(async |t: Topology| {
        let mut store = t.store().await;
        let _: () = store.set("n:5", "text").await.expect("set");
        // By hand one error is all there is, whatever the others did.
        let mut by_hand = redis::pipe();
        (0..10).for_each(|n| _ = by_hand.add_command(incr(n)));
        by_hand
            .query_async::<Vec<i64>>(&mut store)
            .await
            .expect_err("one of them failed");

        let outcomes = Pipelined::on(&store).chunk(4).run::<i64>((0..10).map(incr)).await;
        assert_eq!(outcomes.len(), 10);
        for (n, outcome) in outcomes.iter().enumerate() {
            match outcome {
                Ok(count) => assert_eq!((*count, n == 5), (2, false), "{n}"),
                Err(error) => assert!(n == 5 && !error.is_connection(), "{n}: {error}"),
            }
        }
        let texts = Pipelined::on(&store)
            .run::<i64>([redis::cmd("GET").arg("n:5").to_owned()])
            .await;
        assert!(texts[0].is_err(), "a text is no number");
        assert!(Pipelined::on(&store).run::<i64>([]).await.is_empty());
    });
}

#[test]
fn a_chunk_is_one_round_trip() {
    for_each_topology(async |t: Topology| {
        let store = t.store().await;
        // The figures of an address: all embedded engines of this process share one.
        if t.port().is_none() {
            return;
        }
        let before = store.stats().commands;
        let outcomes = Pipelined::on(&store).chunk(10).run::<i64>((0..95).map(incr)).await;
        assert!(outcomes.iter().all(Result::is_ok));
        assert_eq!(store.stats().commands - before, 10);
    });
}

#[test]
fn a_command_that_is_refused_ends_its_chunk_alone() {
    for_each_topology(async |t: Topology| {
        let store = t.store().await;
        let blocking = redis::cmd("BLPOP").arg("queue").arg(0).to_owned();
        let commands = [incr(0), blocking, incr(1)];
        let outcomes = Pipelined::on(&store).chunk(2).run::<i64>(commands).await;
        let refused: Vec<bool> = outcomes
            .iter()
            .map(|outcome| outcome.as_ref().is_err_and(larder_store::StoreError::is_refused))
            .collect();
        assert_eq!(refused, [true, true, false]);
        assert!(outcomes[2].is_ok());
    });
}
