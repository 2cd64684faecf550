//! Tags and incarnations: what was invalidated never becomes valid again, whatever is lost or repeated.

use super::{
    client::{Client, Put, why, word},
    header::fast_path,
    lab::Lab,
};

pub(crate) fn p_old_incarnation_never_returns(lab: &mut Lab) {
    let l = &mut lab.l;
    l.stored("k", b"OLD", Put::default());
    let old = l.incarnation();
    let new = [7; 8];
    assert_eq!(l.rotate_from(&old, new), 1);
    assert_eq!(l.rotate_from(&old, [8; 8]), 0);
    l.rotate();
    assert_eq!(
        l.rotate_from(&old, new),
        0,
        "a late copy of the first clear changes nothing"
    );
    assert_eq!(l.peek("k"), "MISS");
    l.c(&["DEL", &l.p("m")]);
    assert_eq!(l.peek("k"), "MISS", "without M nothing is valid");
    assert_eq!(l.rotate_from(&old, new), 0);
    l.get("z");
    assert_eq!(l.peek("k"), "MISS");
}

pub(crate) fn q_repeated_invtag_never_brings_a_stamp_back(lab: &mut Lab) {
    let l = &mut lab.l;
    let repeated = [9; 8];
    l.get("z");
    l.try_invtag(&["T"], repeated).expect("no error");
    l.stored("k", b"OLD", Put::tags(&["T"]));
    assert_eq!(l.state("k"), "HIT");
    l.invtag(&["T"]);
    l.try_invtag(&["T"], repeated).expect("no error");
    assert_eq!(l.peek("k"), "MISS");
}

pub(crate) fn q2_lost_stamp_never_uncovers_an_older_one(lab: &mut Lab) {
    let l = &mut lab.l;
    l.stored("k", b"OLD", Put::tags(&["T"]));
    l.rotate_tags();
    l.invtag(&["T"]);
    l.c(&["DEL", &l.p("t0")]);
    assert_eq!(l.peek("k"), "MISS");
}

/// With the stamp lost, a lease from before some tag moved cannot prove that it was not this one.
pub(crate) fn q4_lost_stamp_of_a_tag_refuses_an_older_lease(lab: &mut Lab) {
    let l = &mut lab.l;
    let (token, _) = l.get("k");
    l.invtag(&["T"]);
    l.c(&["DEL", &l.p("t0")]);
    assert_eq!(why(&l.fill_with("k", token, b"OLD", Put::tags(&["T"]))), "tag?");
    assert_eq!(l.peek("k"), "MISS");
}

pub(crate) fn q3_stamps_live_as_long_as_entries(lab: &mut Lab) {
    let l = &mut lab.l;
    l.stored("k", b"v", Put::tags(&["T"]));
    l.rotate_tags();
    l.invtag(&["other"]);
    assert_eq!(l.state("k"), "HIT");
    let (token, answer) = l.early("k");
    assert_eq!(word(&answer), "FRESH_LEASE");
    assert_eq!(word(&l.extend("k", token)), "OK");
    l.rotate_tags();
    l.invtag(&["other"]);
    assert_eq!(l.state("k"), "HIT");
}

pub(crate) fn t_tagged_fast_path(lab: &mut Lab) {
    let now = lab.now_ms();
    let l = &mut lab.l;
    let fast = |l: &mut Client| fast_path(&l.c(&["MGET", &l.e("k"), &l.p("m")]), now);
    l.stored("k", b"v", Put::tags(&["T"]));
    assert!(fast(l));
    let (token, answer) = l.early("k");
    assert_eq!(word(&answer), "FRESH_LEASE");
    assert!(!fast(l), "under a lease slot 64 is the lease's");
    l.release("k", token);
    assert!(fast(l));
    l.invtag(&["other"]);
    assert!(!fast(l));
    assert_eq!(l.state("k"), "HIT");
    l.invtag(&["T"]);
    assert!(!fast(l));
    assert_eq!(l.peek("k"), "MISS");

    let (token, _) = l.get("k");
    assert_eq!(word(&l.fill_with("k", token, b"w", Put::tags(&["T"]))), "OK");
    assert!(fast(l));
    l.rotate();
    assert!(!fast(l));
    let hold = l.begin("k");
    assert!(!fast(l));
    l.endw("k", hold);
    l.stored("k", b"v", Put::default());
    assert!(fast(l));
    l.mark_stale("k");
    assert!(!fast(l));
}
