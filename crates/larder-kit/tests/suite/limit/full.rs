//! A store without room: what is denied stays denied, what is in can leave, and nothing is charged by halves.

use larder_kit::limit::{
    Basis, ConcurrencyLimit, Entry, FixedWindow, Gcra, LimitError, Limiter, OnStoreDown, SlidingLog,
};
use larder_testkit::{Topology, for_each_topology};

use super::{DAY, every_kind};
use crate::{full::is_full, immortal::no_immortal_keys};

#[test]
fn a_full_store_goes_on_denying_and_leaves_the_rest_to_the_policy() {
    for_each_topology(async |t: Topology| {
        let store = t.store().await;
        for (kind, limit) in every_kind(2, DAY) {
            let limiter = Limiter::builder(&format!("full-{kind}")).store(&store).limit(limit);
            let limiter = limiter.on_store_down(OnStoreDown::Open).build()?;
            for _ in 0..2 {
                assert!(limiter.check("used-up").await?.allowed);
            }
            assert!(limiter.check("has-room").await?.allowed);
            is_full(&t, true);
            let denied = limiter.check("used-up").await?;
            assert_eq!((denied.allowed, denied.basis), (false, Basis::Store), "{kind}");
            // The log takes away what has lapsed before it counts, and a script that has written may go on.
            let counts = if kind == "log" { Basis::Store } else { Basis::Policy };
            for subject in ["has-room", "new"] {
                let admitted = limiter.check(subject).await?;
                assert_eq!((admitted.allowed, admitted.basis), (true, counts), "{kind}, {subject}");
            }
            is_full(&t, false);
            let left = if kind == "log" { 0 } else { 1 };
            assert_eq!(limiter.peek("has-room").await?.remaining, left, "{kind}");
        }
        no_immortal_keys(&t, 8);
        Ok::<_, LimitError>(())
    });
}

#[test]
fn several_limits_on_a_full_store_charge_all_or_nothing() {
    for_each_topology(async |t: Topology| {
        let store = t.store().await;
        let limiter = Limiter::builder("full").store(&store);
        let limiter = limiter.limit(Gcra::per(9, DAY)).limit(FixedWindow::per(8, DAY));
        let plain = limiter.clone().on_store_down(OnStoreDown::Closed).build()?;
        assert_eq!(plain.check("a").await?.remaining, 7);
        is_full(&t, true);
        assert_eq!(plain.check("a").await?.basis, Basis::Policy);
        is_full(&t, false);
        assert_eq!(plain.peek("a").await?.remaining, 7);
        // With a log among them the others count as well.
        let logged = limiter
            .limit(SlidingLog::per(7, DAY))
            .on_store_down(OnStoreDown::Closed)
            .build()?;
        assert_eq!(logged.check("b").await?.remaining, 6);
        is_full(&t, true);
        let decision = logged.check("b").await?;
        assert_eq!(
            (decision.allowed, decision.basis, decision.remaining),
            (true, Basis::Store, 5)
        );
        is_full(&t, false);
        assert_eq!(plain.peek("b").await?.remaining, 6, "of 8 in the window");
        Ok::<_, LimitError>(())
    });
}

#[test]
fn a_full_store_gives_places_and_takes_them_back() {
    for_each_topology(async |t: Topology| {
        let exports = ConcurrencyLimit::builder("full").store(&t.store().await).limit(1);
        let exports = exports.on_store_down(OnStoreDown::Closed).build()?;
        let Entry::Admitted(permit) = exports.enter("a").await? else {
            panic!("nobody is in")
        };
        is_full(&t, true);
        let Entry::Full(decision) = exports.enter("a").await? else {
            panic!("one is in")
        };
        assert_eq!(decision.basis, Basis::Store);
        assert!(permit.release().await);
        // It takes away what has lapsed before it counts, and a script that has written may go on.
        let Entry::Admitted(permit) = exports.enter("a").await? else {
            panic!("nobody is in")
        };
        assert!(permit.release().await);
        let left = t.wire().call(&["KEYS", "*"]).expect("the server answers");
        assert!(left.list().is_empty(), "{left:?}");
        Ok::<_, LimitError>(())
    });
}
