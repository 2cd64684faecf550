//! Writers' holds: nobody fills while one is open, and only an undisturbed writer stores.

use larder_testkit::Answer;

use super::{
    client::{Client, NO_TOKEN, Put, why, word},
    lab::Lab,
    near::hit_value,
};

pub(crate) fn c_no_store_over_a_writer_that_came_between(lab: &mut Lab) {
    let l = &mut lab.l;
    let first = l.begin("k");
    let (second, answer) = l.begin_with("k", 10_000, NO_TOKEN);
    assert_eq!(answer.list()[0].int(), 2);
    assert_eq!(l.endw("k", second), (1, 1));
    let refused = l.endput("k", first, b"v1");
    assert_eq!((word(&refused), why(&refused)), ("NO".into(), "contended".into()));
    assert_eq!(l.peek("k"), "MISS");
}

/// Something that happens while a writer's hold is open.
type Disturbance = fn(&mut Client);

pub(crate) fn c2_invalidation_during_a_hold_stops_the_store(lab: &mut Lab) {
    let cases: [(Disturbance, &str); 7] = [
        (|l| assert_eq!(l.inv("k"), 2), "contended"),
        (|l| assert_eq!(l.mark_stale("k"), 2), "contended"),
        (|l| assert_eq!(word(&l.put("k", b"p")), "HELD"), "contended"),
        (|l| l.invtag(&["T"]), "tag"),
        (|l| assert_eq!(l.rotate(), 1), "inc"),
        (lose_the_record, "lost"),
        (lose_the_stamp, "tag?"),
    ];
    for (disturb, reason) in cases {
        let l = &mut lab.l;
        l.c(&["FLUSHALL"]);
        let hold = l.begin("k");
        disturb(l);
        let refused = l.try_endput("k", hold, b"v", &["T"]).expect("no error");
        assert_eq!((word(&refused), why(&refused)), ("NO".into(), reason.into()));
        assert_eq!(l.peek("k"), "MISS", "after {reason}");
    }
}

fn lose_the_record(l: &mut Client) {
    l.c(&["DEL", &l.e("k")]);
}

fn lose_the_stamp(l: &mut Client) {
    l.invtag(&["T"]);
    l.c(&["DEL", &l.p("t0")]);
}

pub(crate) fn c3_lapsed_holder_cannot_be_overlooked(lab: &mut Lab) {
    let (lapsed, _) = lab.l.begin_with("k", 20, NO_TOKEN);
    lab.pass(40);
    let (second, answer) = lab.l.begin_with("k", 10_000, NO_TOKEN);
    assert_eq!(answer.list()[0].int(), 1);
    let refused = lab.l.endput("k", lapsed, b"a");
    assert_eq!(why(&refused), "lost");
    assert_eq!((refused.list()[2].int(), refused.list()[3].int()), (0, 1));
    assert_eq!(why(&lab.l.endput("k", second, b"b")), "contended");
}

pub(crate) fn c4_end_without_any_hold_unlinks(lab: &mut Lab) {
    let (lapsed, _) = lab.l.begin_with("k", 20, NO_TOKEN);
    lab.pass(40);
    lab.l.stored("k", b"old", Put::default());
    assert_eq!(lab.l.endw("k", lapsed), (0, 0));
    assert_eq!(lab.l.peek("k"), "MISS");
}

pub(crate) fn c5_undisturbed_write_through_stores(lab: &mut Lab) {
    let l = &mut lab.l;
    let hold = l.begin("k");
    assert_eq!(l.state("k"), "HOLD");
    let stored = l.try_endput("k", hold, b"new", &["T"]).expect("no error");
    assert_eq!(word(&stored), "OK");
    assert_eq!(hit_value(&l.get("k").1), b"new");
    l.invtag(&["T"]);
    assert_eq!(l.peek("k"), "MISS");
}

pub(crate) fn c6_begin_retry_replaces_its_own_token(lab: &mut Lab) {
    let first = lab.l.begin("k");
    let (retry, answer) = lab.l.begin_with("k", 10_000, first);
    assert_eq!(answer.list()[0].int(), 1);
    assert_eq!(word(&lab.l.endput("k", retry, b"v")), "OK");
}

pub(crate) fn c7_a_store_beside_an_open_hold_is_refused(lab: &mut Lab) {
    let l = &mut lab.l;
    let first = l.begin("k");
    let second = l.begin("k");
    let refused = l.endput("k", first, b"v");
    assert_eq!(why(&refused), "others");
    assert_eq!((refused.list()[2].int(), refused.list()[3].int()), (1, 1));
    assert_eq!(l.state("k"), "HOLD", "the other hold stays");
    assert_eq!(l.endw("k", second), (1, 0));
}

pub(crate) fn c8_lapsed_end_marks_the_hold_of_another(lab: &mut Lab) {
    let (lapsed, _) = lab.l.begin_with("k", 20, NO_TOKEN);
    lab.pass(40);
    let l = &mut lab.l;
    let second = l.begin("k");
    assert_eq!(l.endw("k", lapsed), (0, 1));
    assert_eq!(why(&l.endput("k", second, b"v")), "contended");
}

pub(crate) fn d_endw_reports_its_own_token(lab: &mut Lab) {
    let l = &mut lab.l;
    let hold = l.begin("k");
    assert_eq!(l.endw("k", hold), (1, 0));
    assert_eq!(l.endw("k", hold), (0, 0));
    l.begin("k");
    let stranger = l.token();
    assert_eq!(l.endw("k", stranger), (0, 1));
}

pub(crate) fn j_pattern_invalidation_keeps_holds(lab: &mut Lab) {
    let l = &mut lab.l;
    l.begin("a1");
    l.stored("a2", b"v", Put::default());
    let (pattern, prefix) = (l.e("a*"), l.e(""));
    let mut cursor = "0".to_owned();
    loop {
        let page = l.c(&["SCAN", &cursor, "MATCH", &pattern]);
        for found in page.list()[1].list() {
            let key = found.text();
            l.inv(key.strip_prefix(&prefix).expect("the pattern has this prefix"));
        }
        cursor = page.list()[0].text();
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(l.state("a1"), "HOLD");
    assert_eq!(l.peek("a2"), "MISS");
}

pub(crate) fn w_put_without_a_source(lab: &mut Lab) {
    let l = &mut lab.l;
    let (lease, _) = l.get("k");
    let stored = l.try_put("k", b"p", &["T"]).expect("no error");
    assert_eq!(word(&stored), "OK");
    assert_eq!(why(&l.fill("k", lease, b"old")), "superseded");
    assert_eq!(hit_value(&l.get("k").1), b"p");
    l.invtag(&["T"]);
    assert_eq!(l.peek("k"), "MISS");
    let hold = l.begin("k");
    let held: Answer = l.put("k", b"q");
    assert_eq!(word(&held), "HELD");
    assert_eq!(l.endw("k", hold), (1, 0));
}
