//! What the near tier stands on: which changes are pushed, to whom, and before which reply.

use larder_testkit::Answer;

use super::{
    client::{Ask, Client, Put, word},
    header::{uid, value},
    lab::Lab,
};

/// The value of a hit.
#[track_caller]
pub(crate) fn hit_value(answer: &Answer) -> &[u8] {
    assert_eq!(word(answer), "HIT");
    value(answer.list()[1].bytes())
}

/// The keys of the invalidations received so far; an empty list stands for everything.
fn pushed(reader: &mut Client) -> Vec<Vec<String>> {
    reader.c(&["PING"]);
    let pushes = reader.wire.pushes();
    let invalidations = pushes
        .iter()
        .map(Answer::list)
        .filter(|push| push[0].text() == "invalidate");
    invalidations
        .map(|push| match &push[1] {
            Answer::Nil => Vec::new(),
            keys => keys.list().iter().map(Answer::text).collect(),
        })
        .collect()
}

pub(crate) fn k_what_is_pushed(lab: &mut Lab) {
    let mut reader = lab.tracker();
    let l = &mut lab.l;
    let (e, q, m) = (l.e("k"), l.e("q"), l.p("m"));
    l.stored("k", b"v", Put::default());
    reader.c(&["MGET", &e, &m]);
    l.c(&["FLUSHALL"]);
    assert_eq!(pushed(&mut reader), [Vec::<String>::new()]);
    l.inv("k");
    assert!(
        pushed(&mut reader).is_empty(),
        "nothing more is pushed for it, hence the epoch"
    );

    l.stored("k", b"v", Put::default());
    reader.c(&["MGET", &e, &m]);
    l.rotate();
    assert_eq!(pushed(&mut reader), [[m.clone()]]);

    l.stored("q", b"v", Put::tags(&["T"]));
    reader.c(&["MGET", &q, &m]);
    pushed(&mut reader);
    l.invtag(&["T"]);
    assert_eq!(pushed(&mut reader), [[m]]);
}

/// Every script that leaves a copy usable reads the record again, so that the own write does not end its tracking.
pub(crate) fn k2_own_writes_stay_tracked(lab: &mut Lab) {
    let mut r = lab.tracker();
    r.get("lease");
    tracked(lab, &mut r, "lease");

    r.stored("fill", b"v", Put::default());
    tracked(lab, &mut r, "fill");
    r.put("put", b"v");
    tracked(lab, &mut r, "put");
    let hold = r.begin("endput");
    r.endput("endput", hold, b"v");
    tracked(lab, &mut r, "endput");

    let token = stale_lease(lab, &mut r, "extend", Put::soft(1));
    assert_eq!(word(&r.extend("extend", token)), "OK");
    tracked(lab, &mut r, "extend");
    let (token, _) = r.get("renew");
    r.renew("renew", token, 4_000); // longer, so that the key's own end is moved as well
    tracked(lab, &mut r, "renew");
    let token = stale_lease(lab, &mut r, "release", Put::soft(1));
    r.release("release", token);
    tracked(lab, &mut r, "release");
    stale_lease(
        lab,
        &mut r,
        "stale",
        Put {
            soft: 1,
            hard: 900,
            ..Put::default()
        },
    );
    tracked(lab, &mut r, "stale");
}

/// Fills `key` and takes the lease of its refresh.
fn stale_lease(lab: &Lab, r: &mut Client, key: &str, put: Put<'_>) -> [u8; 16] {
    r.stored(key, b"v", put);
    lab.pass(10);
    let (token, answer) = r.get(key);
    assert_eq!(word(&answer), "STALE_LEASE");
    token
}

/// Asserts that another's invalidation of `key` reaches the reader.
#[track_caller]
fn tracked(lab: &mut Lab, reader: &mut Client, key: &str) {
    pushed(reader);
    lab.l.inv(key);
    let e = lab.l.e(key);
    assert!(
        pushed(reader).iter().flatten().any(|found| *found == e),
        "no push for `{key}`"
    );
}

pub(crate) fn k3_push_precedes_pong(lab: &mut Lab) {
    let mut reader = lab.tracker();
    for i in 0..100 {
        reader.c(&["GET", "x"]);
        lab.l.c(&["SET", "x", &i.to_string()]);
        assert_eq!(pushed(&mut reader), [["x"]], "round {i}");
    }
}

pub(crate) fn k4_own_change_of_m_ends_its_tracking(lab: &mut Lab) {
    let mut r = lab.tracker();
    let l = &mut lab.l;
    let m = l.p("m");
    r.stored("k", b"v", Put::default());
    pushed(&mut r);
    l.rotate();
    assert_eq!(pushed(&mut r), [[m.clone()]]);
    // Untracked after an own change: hence an own rotate or invtag counts as a push of M.
    r.c(&["GET", &m]);
    r.rotate();
    assert!(pushed(&mut r).is_empty());
    l.rotate();
    assert!(pushed(&mut r).is_empty());
    r.rotate();
    r.c(&["GET", &m]);
    l.rotate();
    assert_eq!(pushed(&mut r), [[m]]);
}

/// The server announces what expires, also when nobody touches it.
pub(crate) fn k5_expiry_is_pushed(lab: &mut Lab) {
    let mut r = lab.tracker();
    lab.l.stored(
        "expiring",
        b"v",
        Put {
            hard: 60,
            ..Put::default()
        },
    );
    r.get_with(
        "expiring",
        Ask {
            mode: "peek",
            ..Ask::default()
        },
    );
    pushed(&mut r);
    lab.pass(61);
    let e = r.e("expiring");
    let told = (0..200).any(|_| {
        lab.pass(5);
        pushed(&mut r).iter().flatten().any(|found| *found == e)
    });
    assert!(told, "no push within a second of the expiry");
}

pub(crate) fn v_revalidate(lab: &mut Lab) {
    let l = &mut lab.l;
    l.stored("k", b"v", Put::tags(&["T"]));
    let e = l.c(&["GET", &l.e("k")]);
    let mine = uid(e.bytes());
    let same = l.revalidate("k", &mine);
    assert_eq!(word(&same), "SAME");
    let (soft, hard) = (same.list()[1].int(), same.list()[2].int());
    assert!((59_001..=60_000).contains(&soft) && hard > 60_000, "{soft} {hard}");
    l.invtag(&["other"]);
    assert_eq!(word(&l.revalidate("k", &mine)), "SAME");
    assert_eq!(word(&l.revalidate("k", &[0; 8])), "HIT");
    l.invtag(&["T"]);
    assert_eq!(word(&l.revalidate("k", &mine)), "NO");
    l.inv("k");
    l.stored("k", b"v", Put::default());
    assert_eq!(
        word(&l.revalidate("k", &mine)),
        "HIT",
        "equal bytes of another entry are still another entry"
    );
}
