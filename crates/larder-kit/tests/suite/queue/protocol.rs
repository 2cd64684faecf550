//! The scripts by themselves, each checked by a few calls that say what must come of them.

use std::pin::Pin;

use larder_testkit::{Answer, Topology, for_each_topology};

use super::lab::{Lab, Put, VISIBILITY};
use crate::immortal::no_immortal_keys_at;

/// One id is one job, while it lives and while it is kept.
async fn one_id_is_one_job(lab: &mut Lab) {
    assert_eq!((lab.push("a"), lab.push("a")), (1, 0));
    let taken = lab.take();
    assert_eq!(
        (taken.id.as_str(), taken.payload.as_str(), taken.attempt),
        ("a", "a", 1)
    );
    assert_eq!(lab.push("a"), 0, "while it runs");
    assert_eq!(lab.settle(&taken, "done"), "done");
    assert_eq!(lab.push("a"), 0, "while it is kept");
    assert_eq!(lab.take_all(), Vec::<String>::new());
    assert_eq!(lab.run("remove", &["a"]).int(), 1);
    assert_eq!(lab.push("a"), 1, "when it is forgotten");
}

/// What a dead worker had is another's after the visibility timeout, and before that nobody's.
async fn a_silent_workers_job_comes_back(lab: &mut Lab) {
    lab.push("a");
    let first = lab.take();
    assert_eq!(lab.take_all(), Vec::<String>::new(), "it is taken");
    lab.pass(VISIBILITY + 50);
    let second = lab.take();
    assert_eq!((second.id.as_str(), second.attempt), ("a", 2));
    assert_ne!(first.token, second.token);
}

/// A worker that was overtaken can neither complete the job nor have it tried again, bury it or give it back.
async fn the_overtaken_cannot_settle(lab: &mut Lab) {
    lab.push("a");
    let first = lab.take();
    lab.pass(VISIBILITY + 50);
    let second = lab.take();
    for how in ["done", "retry", "dead", "back"] {
        assert_eq!(lab.settle(&first, how), "lost", "{how}");
        assert_eq!(lab.state("a").as_deref(), Some("running"), "{how}");
    }
    assert_eq!(lab.settle(&second, "done"), "done");
    assert_eq!(lab.settle(&first, "done"), "lost");
}

/// A worker whose answer was lost asks again, and is answered the same.
async fn a_settlement_sent_again_is_answered_the_same(lab: &mut Lab) {
    for (id, how, became) in [
        ("a", "done", "done"),
        ("b", "retry", "retried"),
        ("c", "dead", "dead"),
        ("d", "back", "back"),
    ] {
        lab.push(id);
        let taken = lab.take();
        assert_eq!(lab.settle(&taken, how), became);
        let counts = lab.counts();
        assert_eq!(lab.settle(&taken, how), became, "again");
        assert_eq!(lab.counts(), counts, "and nothing has moved");
        lab.run("remove", &[id]);
    }
}

/// What a claim took whose answer was lost is given back by the next one, at once, and the attempt does not count.
async fn a_claim_that_nobody_heard_of_is_given_back(lab: &mut Lab) {
    lab.push("a");
    lab.push("b");
    let unheard = lab.take();
    let (taken, _, _) = lab.turn_as(2, &[], &unheard.token, 0, 10);
    let again: Vec<(&str, i64)> = taken.iter().map(|taken| (taken.id.as_str(), taken.attempt)).collect();
    assert_eq!(again, [("a", 1), ("b", 1)], "in its place");
}

/// The attempts of a job end, also those that end in silence.
async fn attempts_are_counted_and_end(lab: &mut Lab) {
    lab.put(
        "a",
        Put {
            attempts: 2,
            ..Put::default()
        },
    );
    let first = lab.take();
    assert_eq!(lab.settle(&first, "retry"), "retried");
    let second = lab.take();
    assert_eq!(second.attempt, 2);
    assert_eq!(lab.settle(&second, "retry"), "dead");
    lab.put(
        "b",
        Put {
            attempts: 1,
            ..Put::default()
        },
    );
    lab.take();
    lab.pass(VISIBILITY + 50);
    assert_eq!(lab.take_all(), Vec::<String>::new());
    assert_eq!(lab.state("b").as_deref(), Some("dead"));
    let letters = lab.run("list", &["dead", "0", "10"]);
    let why: Vec<String> = letters
        .list()
        .iter()
        .map(|letter| field(&letter.list()[1], "why"))
        .collect();
    assert!(why[0] == "because" && why[1].starts_with("stalled"), "{why:?}");
}

fn field(row: &Answer, name: &str) -> String {
    let row = row.list();
    let at = row
        .iter()
        .position(|part| part.text() == name)
        .expect("the field is there");
    row[at + 1].text()
}

/// What is given back goes before the others, and has not been tried.
async fn what_is_given_back_is_the_next(lab: &mut Lab) {
    lab.push("a");
    lab.push("b");
    let taken = lab.take();
    assert_eq!(lab.settle(&taken, "back"), "back");
    let again = lab.take();
    assert_eq!((again.id.as_str(), again.attempt), ("a", 1));
}

/// Higher priorities first, and among equals the first that came.
async fn jobs_go_by_priority_then_in_order(lab: &mut Lab) {
    for (id, priority) in [
        ("low", -128),
        ("one", 0),
        ("two", 0),
        ("high", 127),
        ("three", 0),
        ("higher", 127),
    ] {
        lab.put(
            id,
            Put {
                priority,
                ..Put::default()
            },
        );
    }
    assert_eq!(lab.take_all(), ["high", "higher", "one", "two", "three", "low"]);
}

/// A delayed job runs when it is due, never before, and in the order of dueness.
async fn a_delay_is_kept(lab: &mut Lab) {
    lab.put(
        "later",
        Put {
            delay: 60_000,
            ..Put::default()
        },
    );
    lab.put(
        "soon",
        Put {
            delay: 30_000,
            ..Put::default()
        },
    );
    let (taken, _, answer) = lab.turn(5, &[]);
    assert_eq!(taken, []);
    let due = answer.list()[2].int();
    assert!((1..=30_000).contains(&due), "the next is due in {due} ms");
    lab.pass(60_100);
    assert_eq!(lab.take_all(), ["soon", "later"]);
}

/// What has not begun by its deadline never does.
async fn a_deadline_is_kept(lab: &mut Lab) {
    lab.put(
        "a",
        Put {
            deadline: 20_000,
            ..Put::default()
        },
    );
    lab.push("b");
    lab.pass(20_100);
    assert_eq!(lab.take_all(), ["b"]);
    assert_eq!(lab.state("a").as_deref(), Some("dead"));
}

/// One of a group at a time, in order; retries hold the group up, death and removal let it go on.
async fn a_group_goes_one_by_one(lab: &mut Lab) {
    for id in ["a", "b", "c", "d", "e"] {
        lab.put(
            id,
            Put {
                group: "g",
                ..Put::default()
            },
        );
    }
    lab.put(
        "other",
        Put {
            group: "h",
            ..Put::default()
        },
    );
    let (taken, _, _) = lab.turn(100, &[]);
    let ids: Vec<&str> = taken.iter().map(|taken| taken.id.as_str()).collect();
    assert_eq!(ids, ["a", "other"], "one of each group");
    assert_eq!(lab.settle(&taken[0], "retry"), "retried");
    let a = lab.take();
    assert_eq!(a.id, "a", "those behind it wait for it");
    assert_eq!(lab.take_all(), Vec::<String>::new());
    lab.settle(&a, "done");
    let b = lab.take();
    assert_eq!((b.id.as_str(), lab.settle(&b, "dead").as_str()), ("b", "dead"));
    assert_eq!(lab.state("c").as_deref(), Some("waiting"));
    assert_eq!(lab.run("remove", &["d"]).int(), 1, "one in the middle");
    assert_eq!(lab.run("remove", &["c"]).int(), 1, "the one whose turn it is");
    let e = lab.take();
    assert_eq!((e.id.as_str(), lab.settle(&e, "done").as_str()), ("e", "done"));
    lab.put(
        "f",
        Put {
            group: "g",
            ..Put::default()
        },
    );
    assert_eq!(lab.take_all(), ["f"], "the group was let go");
}

/// However many of a group wait.
async fn a_group_goes_in_the_order_of_pushes(lab: &mut Lab) {
    // Places are told apart by the order of pushes, not by that of ids.
    for id in ["first", "z", "m", "a"] {
        lab.put(
            id,
            Put {
                group: "g",
                ..Put::default()
            },
        );
    }
    for id in ["first", "z", "m", "a"] {
        let taken = lab.take();
        assert_eq!(taken.id, id);
        lab.settle(&taken, "done");
    }
}

/// A job that was removed while it was parked does not get its group's turn.
async fn a_removed_job_is_nobodys_heir(lab: &mut Lab) {
    for id in ["a", "b"] {
        lab.put(
            id,
            Put {
                group: "g",
                ..Put::default()
            },
        );
    }
    assert_eq!(lab.run("remove", &["b"]).int(), 1);
    assert_eq!(lab.counts(), [1, 0, 0, 0, 0, 0, 0]);
    let a = lab.take();
    lab.settle(&a, "done");
    no_immortal_keys_at(&mut lab.wire, 2);
}

/// A key that somebody deleted stops neither its group nor a purge.
async fn a_purge_forgets_what_was_deleted_by_hand(lab: &mut Lab) {
    for id in ["a", "b", "c"] {
        lab.put(
            id,
            Put {
                group: "g",
                ..Put::default()
            },
        );
    }
    lab.wire.call(&["DEL", "queue:{q:}:job:b"]).expect("deleted");
    let a = lab.take();
    lab.settle(&a, "done");
    let c = lab.take();
    assert_eq!(c.id, "c", "b is passed over");
    lab.put(
        "d",
        Put {
            group: "g",
            ..Put::default()
        },
    );
    lab.wire.call(&["DEL", "queue:{q:}:job:d"]).expect("deleted");
    lab.push("e");
    lab.wire.call(&["DEL", "queue:{q:}:job:e"]).expect("deleted");
    assert_eq!(lab.take_all(), Vec::<String>::new(), "e is passed over");
    lab.run("purge", &["waiting", "10"]);
    assert_eq!(lab.counts(), [0, 0, 0, 1, 0, 1, 0]);
    lab.settle(&c, "done");
    no_immortal_keys_at(&mut lab.wire, 2);
}

/// What others took is theirs.
async fn only_the_unheard_claim_is_given_back(lab: &mut Lab) {
    lab.push("a");
    lab.push("b");
    let heard = lab.take();
    let unheard = lab.take();
    let (taken, _, _) = lab.turn_as(2, &[], &unheard.token, 0, 10);
    assert_eq!(taken.len(), 1);
    assert_eq!(lab.settle(&heard, "done"), "done");
}

/// Whoever sleeps until a job is due is told of one that is due before.
async fn an_earlier_job_wakes_sleepers(lab: &mut Lab) {
    lab.put(
        "a",
        Put {
            delay: 90_000,
            ..Put::default()
        },
    );
    lab.words();
    lab.put(
        "b",
        Put {
            delay: 50_000,
            ..Put::default()
        },
    );
    assert_eq!(lab.words(), 1);
}

/// Live jobs are bounded, dead ones included; nothing is dropped for a new one.
async fn there_is_room_for_so_many(lab: &mut Lab) {
    let put = Put {
        capacity: 3,
        ..Put::default()
    };
    assert_eq!((lab.put("a", put), lab.put("b", put)), (1, 1));
    let a = lab.take();
    lab.settle(&a, "dead");
    lab.put("c", Put { delay: 60_000, ..put });
    assert_eq!(lab.put("d", put), -1);
    let b = lab.take();
    lab.settle(&b, "done");
    assert_eq!(lab.put("d", put), 1, "done ones take no room");
}

/// What is done is forgotten by age and by count, and leaves nothing behind.
async fn what_is_done_is_forgotten(lab: &mut Lab) {
    for id in ["a", "b", "c"] {
        lab.push(id);
        let taken = lab.take();
        let (_, settled, _) = lab.turn_as(0, &[(&taken, "done")], "", 0, 2);
        assert_eq!(settled, ["done"]);
        lab.pass(2);
    }
    assert_eq!(
        (lab.state("a"), lab.state("b").as_deref()),
        (None, Some("done")),
        "two are kept"
    );
    no_immortal_keys_at(&mut lab.wire, 3);
    lab.push("z");
    let taken = lab.take();
    lab.turn_as(0, &[(&taken, "done")], "", 0, 0);
    assert_eq!(lab.state("z"), None, "none is kept");
    no_immortal_keys_at(&mut lab.wire, 2);
}

/// A paused queue hands nothing out, and takes what is pushed and settled.
async fn a_paused_queue_hands_nothing_out(lab: &mut Lab) {
    lab.push("a");
    let a = lab.take();
    assert_eq!(lab.run("pause", &["pause"]).int(), 1);
    lab.push("b");
    assert_eq!(lab.take_all(), Vec::<String>::new());
    assert_eq!(lab.settle(&a, "done"), "done");
    assert_eq!(lab.run("pause", &["resume"]).int(), 1);
    assert_eq!(lab.take_all(), ["b"]);
}

/// As many at once as the queue may run, whoever asks.
async fn so_many_run_at_once(lab: &mut Lab) {
    for id in ["a", "b", "c"] {
        lab.push(id);
    }
    let (taken, _, _) = lab.turn_as(5, &[], "", 2, 10);
    assert_eq!(taken.len(), 2);
    assert_eq!(lab.turn_as(5, &[], "", 2, 10).0, []);
    let (more, _, _) = lab.turn_as(5, &[(&taken[0], "done")], "", 2, 10);
    assert_eq!(more.len(), 1, "as soon as there is room");
}

/// A sign of life keeps a job, and only its own worker's.
async fn a_beat_keeps_the_own_job(lab: &mut Lab) {
    lab.push("a");
    let first = lab.take();
    lab.pass(VISIBILITY * 6 / 10);
    let visibility = VISIBILITY.to_string();
    let beat = |lab: &mut Lab, token: &str| lab.run("beat", &[&visibility, "a", token, "0.5"]).list()[0].int();
    assert_eq!(beat(lab, &first.token), 1);
    lab.pass(VISIBILITY * 6 / 10);
    assert_eq!(lab.take_all(), Vec::<String>::new(), "it was renewed");
    lab.pass(VISIBILITY);
    let second = lab.take();
    assert_eq!(beat(lab, &first.token), 0);
    assert_eq!(lab.settle(&second, "done"), "done");
    assert_eq!(beat(lab, &second.token), 0);
}

/// A tick makes one job, whoever asks and however often; setting the same schedule again moves no tick.
async fn a_tick_is_made_once(lab: &mut Lab) {
    let set = |lab: &mut Lab, spec: &str, first: &str| lab.run("schedule", &["s", spec, "body", first, "10"]).int();
    assert_eq!((set(lab, "spec", "1000"), set(lab, "spec", "2000")), (1, 0));
    let ticks = |lab: &mut Lab| lab.turn(1, &[]).2.list()[7].clone();
    assert_eq!(ticks(lab).list()[0].list()[1].text(), "1000");
    let tick = |lab: &mut Lab, due: &str, spec: &str, next: &str| {
        lab.run("tick", &["s", due, spec, next, "0", "", "3", "nonce", "1000"])
            .list()[0]
            .int()
    };
    assert_eq!(tick(lab, "1000", "other", "9"), 0, "the schedule is another by now");
    assert_eq!(tick(lab, "1000", "spec", "9000000000000"), 1);
    assert_eq!(tick(lab, "1000", "spec", "9000000000000"), 0, "it was made");
    let (taken, _, answer) = lab.turn(2, &[]);
    assert_eq!(answer.list()[7].list(), []);
    assert_eq!(
        (taken.len(), taken[0].id.as_str(), taken[0].payload.as_str()),
        (1, "s@1000", "body")
    );
    lab.settle(&taken[0], "done");
    assert_eq!(lab.run("unschedule", &["s"]).int(), 1);
    no_immortal_keys_at(&mut lab.wire, 2);
}

/// A dead letter that is replayed has all its attempts again.
async fn a_letter_is_replayed_whole(lab: &mut Lab) {
    lab.put(
        "a",
        Put {
            attempts: 1,
            deadline: 900_000,
            ..Put::default()
        },
    );
    let a = lab.take();
    assert_eq!(lab.settle(&a, "retry"), "dead");
    assert_eq!(lab.run("replay", &["0", "a", "nobody"]).int(), 1);
    let a = lab.take();
    assert_eq!((a.attempt, lab.settle(&a, "dead").as_str()), (1, "dead"));
    assert_eq!(lab.run("replay", &["10"]).int(), 1);
    let a = lab.take();
    lab.settle(&a, "done");
    no_immortal_keys_at(&mut lab.wire, 2);
}

/// Purging leaves nothing of those that wait, of no group.
async fn a_purge_leaves_nothing(lab: &mut Lab) {
    for (id, group, delay) in [
        ("a", "g", 0),
        ("b", "g", 0),
        ("c", "", 0),
        ("d", "", 60_000),
        ("e", "h", 60_000),
        ("f", "h", 0),
    ] {
        lab.put(
            id,
            Put {
                group,
                delay,
                ..Put::default()
            },
        );
    }
    assert_eq!(lab.counts(), [2, 2, 2, 0, 0, 0, 0]);
    let removed: i64 = (0..6).map(|_| lab.run("purge", &["waiting", "4"]).int()).sum();
    assert_eq!(removed, 6);
    no_immortal_keys_at(&mut lab.wire, 0);
    lab.put(
        "g",
        Put {
            group: "g",
            ..Put::default()
        },
    );
    assert_eq!(lab.take_all(), ["g"]);
}

/// Whoever sleeps is told when there is something to do, and not again for each job.
async fn sleepers_are_told_of_the_first_job(lab: &mut Lab) {
    lab.push("a");
    assert_eq!(lab.words(), 1, "the first that waits");
    lab.push("b");
    assert_eq!(lab.words(), 0, "nobody sleeps");
    lab.put(
        "c",
        Put {
            delay: 50_000,
            ..Put::default()
        },
    );
    assert_eq!(lab.words(), 1, "the first that is delayed");
    lab.put(
        "d",
        Put {
            delay: 90_000,
            ..Put::default()
        },
    );
    assert_eq!(lab.words(), 0, "the sleep ends before");
    let taken = lab.turn(2, &[]).0;
    assert_eq!((taken.len(), lab.words()), (2, 0));
    lab.settle(&taken[0], "back");
    assert_eq!(lab.words(), 1, "what is given back");
}

type Check = for<'a> fn(&'a mut Lab) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

macro_rules! checks {
    ($($name:ident),* $(,)?) => {
        /// All checks by name.
        pub(super) const CHECKS: &[(&str, Check)] = &[$((stringify!($name), |lab| Box::pin($name(lab)))),*];
    };
}

checks![
    one_id_is_one_job,
    a_silent_workers_job_comes_back,
    the_overtaken_cannot_settle,
    a_settlement_sent_again_is_answered_the_same,
    a_claim_that_nobody_heard_of_is_given_back,
    attempts_are_counted_and_end,
    what_is_given_back_is_the_next,
    jobs_go_by_priority_then_in_order,
    a_delay_is_kept,
    a_deadline_is_kept,
    a_group_goes_one_by_one,
    a_group_goes_in_the_order_of_pushes,
    a_removed_job_is_nobodys_heir,
    a_purge_forgets_what_was_deleted_by_hand,
    only_the_unheard_claim_is_given_back,
    an_earlier_job_wakes_sleepers,
    there_is_room_for_so_many,
    what_is_done_is_forgotten,
    a_paused_queue_hands_nothing_out,
    so_many_run_at_once,
    a_beat_keeps_the_own_job,
    a_tick_is_made_once,
    a_letter_is_replayed_whole,
    a_purge_leaves_nothing,
    sleepers_are_told_of_the_first_job,
];

#[test]
fn every_step_holds() {
    for_each_topology(async |t: Topology| {
        for (name, check) in CHECKS {
            t.wire().call(&["FLUSHALL"]).expect("the server is this test's");
            println!("{}: {name}", t.kind());
            check(&mut Lab::new(t.wire(), t.clock(), |_, text| text.to_owned())).await;
        }
    });
}
