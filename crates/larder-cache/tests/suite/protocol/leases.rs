//! Leases: one load a miss, fills only under the lease they were granted, nothing lost for long.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use super::{
    client::{Ask, Client, Put, why, word},
    lab::{Lab, really_wait},
};

pub(crate) fn a_late_copy_of_a_lease_request_cannot_revive_a_fill(lab: &mut Lab) {
    let l = &mut lab.l;
    let stuck = l.token();
    let (retry, answer) = l.get_with(
        "k",
        Ask {
            replaces: stuck,
            ..Ask::default()
        },
    );
    assert_eq!(word(&answer), "LEASE", "the retry runs while its first copy is stuck");
    l.inv("k");
    let late = Ask {
        token: Some(stuck),
        ..Ask::default()
    };
    assert_eq!(word(&l.get_with("k", late).1), "LEASE", "now the first copy runs");
    let refused = l.fill("k", retry, b"OLD");
    assert_eq!((word(&refused), why(&refused)), ("REJ".into(), "superseded".into()));
    assert_ne!(l.peek("k"), "HIT");
}

pub(crate) fn a2_retry_gets_the_lease_under_a_new_token(lab: &mut Lab) {
    let l = &mut lab.l;
    let (first, _) = l.get("k");
    let (second, answer) = l.get_with(
        "k",
        Ask {
            replaces: first,
            ..Ask::default()
        },
    );
    assert_eq!(word(&answer), "LEASE");
    assert_eq!(why(&l.fill("k", first, b"OLD")), "superseded");
    assert_eq!(word(&l.fill("k", second, b"v")), "OK");
    assert_eq!(l.state("k"), "HIT");
    assert_eq!(
        why(&l.fill("k", second, b"v")),
        "superseded",
        "a fill that ran is not run twice"
    );
}

pub(crate) fn b_liveness_after_each_single_loss(lab: &mut Lab) {
    for lost in ["m", "t0", "t1", "e"] {
        let l = &mut lab.l;
        l.c(&["FLUSHALL"]);
        l.stored("k", b"v", Put::tags(&["T"]));
        for _ in 0..5 {
            l.invtag(&["T", "U"]);
        }
        if lost == "t1" {
            l.rotate_tags();
        }
        let key = if lost == "e" { l.e("k") } else { l.p(lost) };
        l.c(&["DEL", &key]);
        let cached = (0..2).any(|_| {
            let (token, answer) = l.get("k");
            let leased = word(&answer).ends_with("LEASE");
            word(&answer) == "HIT" || leased && word(&l.fill_with("k", token, b"new", Put::tags(&["T"]))) == "OK"
        });
        assert!(cached, "not cached again within two reads after the loss of {lost}");
        assert_eq!(l.state("k"), "HIT");
    }
}

pub(crate) fn e_unversioned_refresh_of_a_versioned_value(lab: &mut Lab) {
    lab.l.stored(
        "k",
        b"5",
        Put {
            soft: 1,
            version: 5,
            ..Put::default()
        },
    );
    lab.pass(10);
    let (token, answer) = lab.l.get("k");
    assert_eq!(word(&answer), "STALE_LEASE");
    assert_eq!(word(&lab.l.fill("k", token, b"6")), "OK");
}

pub(crate) fn e2_older_version_is_refused(lab: &mut Lab) {
    lab.l.stored(
        "k",
        b"5",
        Put {
            soft: 1,
            version: 5,
            ..Put::default()
        },
    );
    lab.pass(10);
    let (token, _) = lab.l.get("k");
    let older = Put {
        version: 4,
        ..Put::default()
    };
    assert_eq!(why(&lab.l.fill_with("k", token, b"4", older)), "older");
    assert_eq!(lab.l.state("k"), "STALE_LEASE");
}

pub(crate) fn f_negative_entry_is_a_hit(lab: &mut Lab) {
    lab.l.stored(
        "k",
        b"",
        Put {
            flags: 3,
            ..Put::default()
        },
    );
    let (_, answer) = lab.l.get("k");
    assert_eq!(word(&answer), "HIT");
    assert_eq!(answer.list()[1].bytes()[3], 3);
}

pub(crate) fn g_refused_fill_gives_its_lease_back(lab: &mut Lab) {
    let (token, _) = lab.l.get("k");
    lab.l.invtag(&["X"]);
    assert_eq!(why(&lab.l.fill_with("k", token, b"v", Put::tags(&["X"]))), "tag");
    assert_eq!(lab.l.state("k"), "LEASE");

    lab.l.c(&["FLUSHALL"]);
    lab.l.stored(
        "k",
        b"v",
        Put {
            soft: 1,
            hard: 9_999,
            ..Put::default()
        },
    );
    lab.pass(10);
    let (token, _) = lab.l.get("k");
    lab.l.invtag(&["X"]);
    assert_eq!(why(&lab.l.fill_with("k", token, b"w", Put::tags(&["X"]))), "tag");
    assert_eq!(lab.l.state("k"), "STALE_LEASE", "the older value stays");

    let l = &mut lab.l;
    l.rotate();
    let (token, _) = l.get("z");
    l.rotate();
    assert_eq!(why(&l.fill("z", token, b"v")), "inc");
    assert_eq!(l.c(&["EXISTS", &l.e("z")]).int(), 0);
}

/// The lease may be one that was kept after a failed load, so that nobody loads: who needs the key must not wait for it.
pub(crate) fn g3_an_invalidated_tag_ends_the_lease_beside_its_value(lab: &mut Lab) {
    let l = &mut lab.l;
    l.stored("k", b"OLD", Put::tags(&["T"]));
    let (kept, answer) = l.early("k");
    assert_eq!(word(&answer), "FRESH_LEASE");
    assert_eq!(l.state("k"), "HIT", "the value serves meanwhile");
    l.invtag(&["T"]);
    let (token, answer) = l.get("k");
    assert_eq!(word(&answer), "LEASE");
    assert_eq!(why(&l.fill("k", kept, b"OLD")), "superseded");
    assert_eq!(word(&l.fill("k", token, b"v")), "OK");
}

pub(crate) fn g2_release_and_renew(lab: &mut Lab) {
    let l = &mut lab.l;
    let (token, _) = l.get("k");
    assert_eq!(l.state("k"), "WAIT");
    let stranger = l.token();
    assert_eq!((l.release("k", stranger), l.release("k", token)), (0, 1));

    let (token, answer) = l.get_with(
        "k",
        Ask {
            lease: 40,
            ..Ask::default()
        },
    );
    assert_eq!(word(&answer), "LEASE");
    assert_eq!(l.renew("k", token, 3_000).list()[0].int(), 1);
    let left = l.c(&["PTTL", &l.e("k")]).int();
    assert!((11_001..=12_000).contains(&left), "{left} ms: four leases");
    lab.pass(60);

    assert_eq!(lab.l.state("k"), "WAIT", "renewed beyond its first end");
    assert_eq!(lab.l.renew("k", stranger, 1_000).list()[0].int(), 0);
    lab.l.fill_with("k", token, b"v", Put::soft(1));
    lab.pass(10);
    let l = &mut lab.l;
    let (token, answer) = l.get("k");
    assert_eq!(word(&answer), "STALE_LEASE");
    assert_eq!(l.state("k"), "STALE", "one refresh at a time");
    assert_eq!(l.release("k", token), 1);
    assert_eq!(l.state("k"), "STALE_LEASE");
}

/// Sixteen clients, twenty expiries: twenty loads.
pub(crate) fn z_one_loader_per_expiry(lab: &mut Lab) {
    const CLIENTS: usize = 16;
    const EXPIRIES: u32 = 20;
    let (loads, start) = (AtomicU32::new(0), Barrier::new(CLIENTS));
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let mut client = lab.client();
            let (loads, start) = (&loads, &start);
            scope.spawn(move || {
                for round in 0..EXPIRIES {
                    start.wait();
                    read_or_load(&mut client, &format!("hot{round}"), loads);
                }
            });
        }
    });
    assert_eq!(loads.into_inner(), EXPIRIES);
}

fn read_or_load(client: &mut Client, key: &str, loads: &AtomicU32) {
    loop {
        let (token, answer) = client.get(key);
        match word(&answer).as_str() {
            "HIT" => return,
            "LEASE" => {
                loads.fetch_add(1, Ordering::Relaxed);
                really_wait(Duration::from_millis(3)); // the load
                client.fill(key, token, b"v");
                return;
            }
            _ => really_wait(Duration::from_millis(1)),
        }
    }
}
