//! `WATCH` belongs to a connection: two callers on one end each other's watch.

use larder_kit::transaction::Transactions;
use larder_testkit::{Answer, Topology};
use redis::AsyncCommands as _;

use super::mutants::Checking;

/// By hand, on clones of one connection: both read 10, both write 11, and both are told that nobody came between.
pub(crate) fn two_callers_on_one_connection_overwrite_each_other_and_two_of_ours_do_not(t: &Topology) -> Checking<'_> {
    Box::pin(async move {
        let mut shared = t.wire();
        let mut call = |args: &[&str]| shared.call(args).expect("answered");
        call(&["SET", "naive", "10", "EX", "60"]);
        for _caller in ["one", "other"] {
            call(&["WATCH", "naive"]);
            assert_eq!(call(&["GET", "naive"]).int(), 10);
        }
        for _caller in ["one", "other"] {
            call(&["MULTI"]);
            call(&["SET", "naive", "11", "EX", "60"]);
            let exec = call(&["EXEC"]);
            assert!(matches!(exec, Answer::List(_)), "it went through: {exec:?}");
        }
        assert_eq!(call(&["GET", "naive"]).int(), 11, "one of two steps is lost");

        let mut store = t.store().await;
        let _: () = store.set_ex("ours", 10, 60).await.expect("set");
        let transactions = Transactions::builder("trap").store(&store).build().expect("builds");
        let mut one = transactions.watch(&["ours"]).await.expect("watched");
        let mut other = transactions.watch(&["ours"]).await.expect("watched");
        let (a, b): (i64, i64) = (
            one.get("ours").await.expect("read"),
            other.get("ours").await.expect("read"),
        );
        let write = |value: i64| redis::pipe().set_ex("ours", value, 60).ignore().to_owned();
        assert!(!one.commit::<()>(write(a + 1)).await.expect("answered").is_lost());
        assert!(other.commit::<()>(write(b + 1)).await.expect("answered").is_lost());
    })
}
