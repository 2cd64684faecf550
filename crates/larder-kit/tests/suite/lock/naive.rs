//! The lock that people write by hand, and what it loses: `SET NX PX`, and `DEL` when done.

use larder_kit::lock::{Lock as _, LockError};
use larder_testkit::{Topology, Wire, for_each_topology};

use super::{TTL, fixed};

/// `SET key 1 NX PX ttl`.
fn set_nx(wire: &mut Wire, t: &Topology) -> bool {
    let ttl = t.units(TTL).as_millis().to_string();
    let set = wire
        .call(&["SET", "lock:1", "1", "NX", "PX", &ttl])
        .expect("the server answers");
    set != larder_testkit::Answer::Nil
}

/// A is slow, its lock runs out, B takes it, A is done and deletes "its" lock: C comes in beside B.
#[test]
fn a_lock_that_is_deleted_by_whoever_is_done_has_two_holders() {
    for_each_topology(async |t: Topology| {
        let mut wire = t.wire();
        assert!(set_nx(&mut wire, &t), "A");
        t.advance(TTL + 2).await;
        assert!(set_nx(&mut wire, &t), "B");
        wire.call(&["DEL", "lock:1"]).expect("the server answers");
        assert!(
            set_nx(&mut wire, &t),
            "C, while B works: this is what the naive lock does"
        );

        let (here, there) = (fixed(&t, &t.store().await), fixed(&t, &t.another_store().await));
        let a = here.acquire(&1).await?;
        t.advance(TTL + 2).await;
        let b = there.try_acquire(&1).await?.expect("A's lease has ended");
        assert!(a.check().is_err(), "A is told before it writes");
        assert!(!a.release().await?.was_held(), "and deletes nothing of B");
        b.check()?;
        assert!(here.try_acquire(&1).await?.is_none(), "C is kept out");
        Ok::<_, LockError>(())
    });
}

/// A fence that only counts begins again at 1 where data are lost; what checks it then lets the older holder win.
#[test]
fn a_fence_that_only_counts_begins_again() {
    for_each_topology(async |t: Topology| {
        let mut wire = t.wire();
        let mut naive = || wire.call(&["INCR", "fence:1"]).expect("the server answers").int();
        let (first, second) = (naive(), naive());
        assert!(second > first);
        let locks = fixed(&t, &t.store().await);
        let before = locks.acquire(&1).await?.fence();
        t.advance(1).await;
        wire.call(&["FLUSHALL"]).expect("the server answers");
        let mut naive = || wire.call(&["INCR", "fence:1"]).expect("the server answers").int();
        assert!(naive() < second, "this is what the naive fence does");
        assert!(locks.acquire(&1).await?.fence() > before);
        Ok::<_, LockError>(())
    });
}
