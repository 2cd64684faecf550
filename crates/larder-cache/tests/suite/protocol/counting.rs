//! Counters under write-behind: what a step adds, and what the source is told of it.

use larder_testkit::Answer;

use super::{
    behind::{GEN, LONG_MS, Taken, Write, args, bytes_that_wait, claim_from, install, number},
    client::{Client, word},
    lab::Lab,
};

/// `wbcount` of one counter.
#[track_caller]
fn count(l: &mut Client, delta: i64, kind: u64, write: Write<'_>) -> Result<Answer, String> {
    let operation = l.p(&format!("o:{}", write.operation.expect("a step is an operation")));
    let keys = [l.p("n"), l.p("y"), l.p("w"), l.p("c:k"), operation];
    let args = args([
        "k".into(),
        delta.to_string().as_str().into(),
        LONG_MS.into(),
        0.into(),
        write.generation.into(),
        write.max_count.into(),
        write.max_bytes.into(),
        LONG_MS.into(),
        kind.into(),
        "".into(),
    ]);
    l.try_run("wbcount", &keys, args)
}

/// Adds; the counter's value.
#[track_caller]
pub(super) fn add(l: &mut Client, delta: i64, operation: &str) -> i64 {
    let answer = count(l, delta, SUM, Write::default().operation(operation)).expect("it is in range");
    assert_eq!(word(&answer), "OK");
    number(&answer.list()[1])
}

const SUM: u64 = 3;
const TOTAL: u64 = 4;

/// Of a record of a counter: its series, and the total that the source is told.
fn told(record: &[u8]) -> (Vec<u8>, String) {
    (
        record[25..33].to_vec(),
        String::from_utf8_lossy(&record[37..]).into_owned(),
    )
}

pub(crate) fn n7_a_step_is_counted_once_and_told_as_a_total(lab: &mut Lab) {
    let l = &mut lab.l;
    let first = Write::default().operation("o1");
    assert_eq!(word(&count(l, 5, SUM, first).expect("no error")), "NEED_EPOCH");
    install(l, GEN, 7);
    l.c(&["SET", &l.p("c:k"), "100"]);
    assert_eq!(add(l, 5, "o1"), 105);
    let again = count(l, 5, SUM, first).expect("no error");
    assert_eq!((word(&again), number(&again.list()[1])), ("DUP".into(), 105));
    assert_eq!(add(l, -2, "o2"), 103);
    let taken = claim_from(l, ["n", "y"], LONG_MS);
    assert_eq!(taken[0].0, "7:k", "a counter of its epoch");
    let (series, total) = told(&taken[0].1);
    assert_eq!(total, "3", "what was added, whatever was there");
    // While it is told, it goes on.
    assert_eq!(add(l, 10, "o3"), 113);
    let keys = [l.p("n"), l.p("y"), l.p("w")];
    let flushed = |taken: &Taken| args([taken[0].0.as_str().into(), taken[0].1[..16].into()]);
    assert_eq!(l.run("wback", &keys, flushed(&taken)).int(), 0);
    let taken = claim_from(l, ["n", "y"], LONG_MS);
    assert_eq!(told(&taken[0].1), (series.clone(), "13".into()), "the same series");
    assert_eq!(l.run("wback", &keys, flushed(&taken)).int(), 1);
    assert_eq!(bytes_that_wait(l), 0);
    assert_eq!(add(l, 1, "o4"), 114);
    let taken = claim_from(l, ["n", "y"], LONG_MS);
    let (next, total) = told(&taken[0].1);
    assert_eq!(total, "1");
    assert_ne!(next, series, "the source was told everything of the first");
    // As the value it has.
    let all = count(l, 1, TOTAL, Write::default().operation("o5")).expect("no error");
    assert_eq!(number(&all.list()[1]), 115);
    l.c(&["DEL", &l.p("y")]);
    assert_eq!(told(&claim_from(l, ["n", "y"], LONG_MS)[0].1).1, "115");
}

pub(crate) fn n8_a_counter_stays_in_its_range(lab: &mut Lab) {
    let l = &mut lab.l;
    install(l, GEN, 1);
    assert_eq!(add(l, i64::MAX, "o1"), i64::MAX, "all digits");
    let refused = count(l, 1, SUM, Write::default().operation("o2"));
    assert!(refused.is_err_and(|error| error.contains("overflow")));
    let taken = claim_from(l, ["n", "y"], LONG_MS);
    assert_eq!(
        (taken.len(), told(&taken[0].1).1),
        (1, i64::MAX.to_string()),
        "nothing was changed"
    );
    let one = Write {
        max_count: 1,
        ..Write::default().operation("o3")
    };
    assert_eq!(
        word(&count(l, -1, SUM, one).expect("no error")),
        "OK",
        "it takes no more room"
    );
    l.c(&["DEL", &l.p("n")]);
    let none = Write {
        max_bytes: 1,
        ..Write::default().operation("o4")
    };
    assert_eq!(word(&count(l, -1, SUM, none).expect("no error")), "FULL");
    assert!(
        l.c(&["PTTL", &l.p("c:k")]).int() > 0,
        "its time to live is from its first step"
    );
}
