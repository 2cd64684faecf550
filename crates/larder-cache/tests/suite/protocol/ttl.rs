//! Soft and hard ends of a value, leases that end, values made fresh again.

use larder_testkit::Answer;

use super::{
    client::{Ask, Put, why, word},
    header::{fast_path, value},
    lab::Lab,
    near::hit_value,
};

pub(crate) fn i_soft_expired_value_serves_only_as_fallback(lab: &mut Lab) {
    let l = &mut lab.l;
    l.stored("k", b"v", Put::default());
    assert_eq!(l.mark_stale("k"), 1);
    assert_eq!(l.peek("k"), "FALLBACK");
    let (token, answer) = l.get("k");
    assert_eq!(word(&answer), "FALLBACK_LEASE");
    assert_eq!(value(answer.list()[1].bytes()), b"v");
    assert_eq!(l.state("k"), "WAIT");
    assert_eq!(l.release("k", token), 1);
    let (token, _) = l.get("k");
    assert_eq!(word(&l.fill("k", token, b"w")), "OK");
    assert_eq!(l.state("k"), "HIT");

    l.stored("q", b"v", Put::soft(1));
    lab.pass(10);
    let l = &mut lab.l;
    let (token, _) = l.get("q");
    l.mark_stale("q");
    assert_eq!(why(&l.fill("q", token, b"old")), "superseded");
    l.inv("q");
    assert_eq!(l.peek("q"), "MISS", "a hard invalidation leaves no fallback");
}

pub(crate) fn r_leases_only_while_asked(lab: &mut Lab) {
    let l = &mut lab.l;
    let (token, _) = l.get_with(
        "k",
        Ask {
            lease: 100,
            ..Ask::default()
        },
    );
    assert_eq!(l.peek("k"), "WAIT");
    let left = l.c(&["PTTL", &l.e("k")]).int();
    assert!((301..=400).contains(&left), "{left} ms: four leases");
    assert_eq!(l.peek("absent"), "MISS");
    assert_eq!(l.c(&["EXISTS", &l.e("absent")]).int(), 0, "a peek writes nothing");
    lab.pass(110);
    let l = &mut lab.l;
    let (second, answer) = l.get("k");
    assert_eq!(word(&answer), "LEASE");
    assert_eq!(why(&l.fill("k", token, b"old")), "superseded");
    assert_eq!(word(&l.fill("k", second, b"v")), "OK");
}

pub(crate) fn r2_expired_untouched_lease_may_fill(lab: &mut Lab) {
    let (token, _) = lab.l.get_with(
        "k",
        Ask {
            lease: 30,
            ..Ask::default()
        },
    );
    lab.pass(50);
    assert_eq!(word(&lab.l.fill("k", token, b"v")), "OK");
}

pub(crate) fn s_hard_ttl_ends_the_value_not_the_key(lab: &mut Lab) {
    lab.l.stored(
        "k",
        b"v",
        Put {
            soft: 1,
            hard: 60,
            ..Put::default()
        },
    );
    lab.pass(10);
    let (token, answer) = lab.l.get("k");
    assert_eq!(word(&answer), "STALE_LEASE");
    lab.pass(80);
    let now = lab.now_ms();
    let l = &mut lab.l;
    let pair = l.c(&["MGET", &l.e("k"), &l.p("m")]);
    assert_ne!(pair.list()[0], Answer::Nil, "the lease keeps the key");
    assert!(!fast_path(&pair, now));
    assert_eq!(l.state("k"), "WAIT");
    assert_eq!(word(&l.fill("k", token, b"n")), "OK");
}

pub(crate) fn v2_extend(lab: &mut Lab) {
    lab.l.stored(
        "k",
        b"v",
        Put {
            soft: 1,
            tags: &["T"],
            ..Put::default()
        },
    );
    lab.pass(10);
    let l = &mut lab.l;
    let (token, _) = l.get("k");
    l.mark_stale("k");
    assert_eq!(why(&l.extend("k", token)), "superseded");
    let (token, answer) = l.get("k");
    assert_eq!(word(&answer), "FALLBACK_LEASE");
    assert_eq!(word(&l.extend("k", token)), "OK");
    assert_eq!(hit_value(&l.get("k").1), b"v");

    let (token, _) = l.early("k");
    l.invtag(&["T"]);
    assert_eq!(why(&l.extend("k", token)), "tag");
    let (token, answer) = l.get("k");
    assert_eq!(word(&answer), "LEASE");
    assert_eq!(why(&l.extend("k", token)), "empty");
    l.inv("k");
    assert_eq!(why(&l.extend("k", token)), "gone");
}
