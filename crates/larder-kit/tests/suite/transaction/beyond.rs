//! What a caller gets wrong in what it commits: nothing goes through unwatched, and what went through is told.

use larder_kit::transaction::{TransactionError, Transactions};
use larder_testkit::{Topology, for_each_topology};
use redis::AsyncCommands as _;

/// Each of them, in the middle of a pipeline, would have what follows it written whatever others did.
#[test]
fn a_pipeline_cannot_write_past_its_watch() {
    for_each_topology(async |t: Topology| {
        let mut store = t.store().await;
        let ours = Transactions::builder("beyond").store(&store).build().expect("builds");
        for ending in ["EXEC", "discard", "RESET", "MULTI", "UNWATCH", "SELECT", "QUIT"] {
            let watched = ours.watch(&["n"]).await.expect("watched");
            let _: () = store.set_ex("n", "of another", 600).await.expect("set");
            let mut write = redis::pipe();
            write.set_ex("m", 1, 600).ignore().add_command(redis::cmd(ending));
            write.ignore().set_ex("m", 2, 600).ignore();
            let refused = watched.commit::<()>(write).await.expect_err(ending);
            assert!(
                matches!(refused, TransactionError::EndsWatch { .. }),
                "{ending}: {refused}"
            );
            assert!(refused.to_string().contains("leave it out"), "{refused}");
            let written: Option<i64> = store.get("m").await.expect("read");
            assert_eq!(written, None, "{ending} wrote past the watch");
        }
    });
}

/// It is not told as if nothing had been written: its caller would do it again.
#[test]
fn a_commit_whose_replies_are_of_another_type_is_told_as_committed() {
    for_each_topology(async |t: Topology| {
        let mut store = t.store().await;
        let ours = Transactions::builder("beyond").store(&store).build().expect("builds");
        let watched = ours.watch(&["n"]).await.expect("watched");
        let write = redis::pipe().set_ex("n", "x", 600).to_owned();
        let error = watched.commit::<(i64,)>(write).await.expect_err("OK is no number");
        assert!(matches!(error, TransactionError::Reply { .. }), "{error:?}");
        assert!(
            error.to_string().contains("was committed") && !error.is_unknown_outcome(),
            "{error}"
        );
        let n: String = store.get("n").await.expect("read");
        assert_eq!(n, "x");

        // Lost is lost, whatever type was asked for.
        let watched = ours.watch(&["n"]).await.expect("watched");
        let _: () = store.set_ex("n", "y", 600).await.expect("set");
        let write = redis::pipe().set_ex("n", "z", 600).to_owned();
        assert!(watched.commit::<(i64,)>(write).await.expect("answered").is_lost());
    });
}
