//! What one flipped bit of the store's memory can undo: every bit of every key that decides whether a value is valid, and
//! the few of them that make an invalidated value valid again, each predicted.
//!
//! A value's bytes, key, version, schema and flags lie under its checksum; these lie outside it, written by the scripts:
//!
//! | key | bits | undo |
//! |---|---|---|
//! | E, a value | slot 64 | a tag invalidation, where the flip turns the tag sequence of the fill into the present one |
//! | E, a value | the name of a tag | the same, where the other name's stamp is equal: both were first stored together |
//! | E, a lease | slot 64 | the refusal of a fill whose tag was invalidated during its load |
//! | E, a hold | slot 64, and "contended" | the refusal of a store after a tag invalidation, or after another writer |
//! | M | the tag sequence | tag invalidations: a past one that meets its number again, and all to come once it is too large to count |
//! | T0, T1 | the sequence in a stamp | as for a lease |
//!
//! Nobody who reads can notice: with the bit flipped the record is the very record of another history, in which the value
//! is valid. Only more redundancy in the record could tell, and that is another format. All else costs a miss.

use larder_testkit::Answer;

use super::{
    client::{Ask, Client, NO_TOKEN, Put, word},
    header::value,
    lab::{Backend, Lab},
    scripts::AS_WRITTEN,
};

/// Tags one bit apart: "T" and "U".
const TAGS: &[&str] = &["T", "U"];

/// No bit at all.
const NONE: [usize; 0] = [];

/// A partition whose tags have been invalidated `bumps` times, so that the sequence is that number.
fn lab(bumps: u64) -> Lab {
    let mut lab = Lab::new(Backend::Embedded, &AS_WRITTEN);
    lab.l.get("other");
    for _ in 0..bumps {
        lab.l.invtag(&["other"]);
    }
    lab
}

fn raw(l: &mut Client, key: &str) -> Vec<u8> {
    l.c(&["GET", key]).bytes().to_vec()
}

fn write(l: &mut Client, key: &str, bytes: &[u8]) {
    l.c(&[b"SET".as_slice(), key.as_bytes(), bytes]);
}

/// The bits of `key`'s string after whose flip `undone` holds. Everything is as it was again each time.
fn flips(l: &mut Client, key: &str, entry: &str, undone: impl Fn(&mut Client) -> bool) -> Vec<usize> {
    let (keys, flipped) = ([l.e(entry), l.p("m")], raw(l, key));
    let good = keys.clone().map(|key| raw(l, &key));
    let stamps = stamps(l);
    let mut found = Vec::new();
    for bit in 0..flipped.len() * 8 {
        let mut bad = flipped.clone();
        bad[bit / 8] ^= 0x80 >> (bit % 8);
        write(l, key, &bad);
        if undone(l) {
            found.push(bit);
        }
        for (key, good) in keys.iter().zip(&good) {
            write(l, key, good);
        }
        restore(l, &stamps);
    }
    found
}

/// What stands in T0: fields and values in turn.
fn stamps(l: &mut Client) -> Vec<Vec<u8>> {
    let fields = l.c(&["HGETALL", &l.p("t0")]);
    fields.list().iter().map(|item| item.bytes().to_vec()).collect()
}

fn restore(l: &mut Client, stamps: &[Vec<u8>]) {
    let t0 = l.p("t0").into_bytes();
    l.c(&[b"DEL".as_slice(), &t0]);
    if !stamps.is_empty() {
        let mut set = vec![b"HSET".to_vec(), t0];
        set.extend_from_slice(stamps);
        l.c(&set);
    }
}

/// Whether a reader is given the old value, and its checksum fits.
fn is_served(l: &mut Client) -> bool {
    let peek = Ask {
        mode: "peek",
        ..Ask::default()
    };
    let (_, answer) = l.get_with("k", peek);
    // Where the payload begins elsewhere, the checksum tells.
    word(&answer) == "HIT" && value(answer.list()[1].bytes()) == b"OLD"
}

/// The bits of an f64 at byte `at` after whose flip it satisfies `is`.
fn bits_of(number: f64, at: usize, is: impl Fn(f64) -> bool) -> Vec<usize> {
    let flipped = |bit: usize| f64::from_bits(number.to_bits() ^ (1 << (63 - bit)));
    (0..64)
        .filter(|bit| is(flipped(*bit)))
        .map(|bit| at * 8 + bit)
        .collect()
}

#[test]
fn of_an_invalidated_value() {
    for (fill, invalidated) in [(2, 3.0), (1, 2.0), (4, 5.0), (0, 1.0)] {
        let l = &mut lab(fill).l;
        l.stored("k", b"OLD", Put::tags(TAGS));
        assert!(is_served(l));
        l.invtag(&["T"]);
        assert!(!is_served(l));
        let e = l.e("k");
        let mut expected = bits_of(fill as f64, 64, |tseq| tseq == invalidated);
        // "T" and "U" were stamped together, and only "T" has another stamp since.
        let name_of_t = (89 * 8 + 7)..(89 * 8 + 8);
        expected.extend(name_of_t);
        assert_eq!(flips(l, &e, "k", is_served), expected, "filled at {fill}");
    }
}

#[test]
fn of_the_tag_sequence() {
    // A value filled at 3, its tag invalidated at 4: M says 4, and would have to say 3 again.
    for fill in [2, 3, 4] {
        let l = &mut lab(fill).l;
        l.stored("k", b"OLD", Put::tags(&["T"]));
        l.invtag(&["T"]);
        let m = l.p("m");
        let expected = bits_of(fill as f64 + 1.0, 8, |tseq| tseq == fill as f64);
        assert_eq!(flips(l, &m, "k", is_served), expected, "filled at {fill}");

        // The flip comes first, and the invalidation counts on from there to the number of the fill.
        l.c(&["FLUSHALL"]);
        let l = &mut lab(fill).l;
        l.stored("k", b"OLD", Put::tags(&["T"]));
        let then_invalidated = |l: &mut Client| {
            l.invtag(&["T"]);
            is_served(l)
        };
        let expected = bits_of(fill as f64, 8, |tseq| tseq + 1.0 == fill as f64);
        assert_eq!(flips(l, &m, "k", then_invalidated), expected, "filled at {fill}");
    }
}

/// Above 2^53 the sequence no longer counts: what is filled from then on outlives the invalidations of its tags.
#[test]
fn of_a_tag_sequence_that_no_longer_counts() {
    let l = &mut lab(1).l;
    l.get("k");
    let m = l.p("m");
    let filled_and_invalidated = |l: &mut Client| {
        l.inv("k");
        l.stored("k", b"OLD", Put::tags(&["T"]));
        l.invtag(&["T"]);
        is_served(l)
    };
    let expected = bits_of(1.0, 8, |tseq| tseq + 1.0 == tseq);
    assert!(!expected.is_empty());
    assert_eq!(flips(l, &m, "k", filled_and_invalidated), expected);
}

#[test]
fn of_a_lease() {
    let l = &mut lab(2).l;
    let (lease, _) = l.get("k");
    l.invtag(&["T"]);
    let fills = move |l: &mut Client| word(&l.fill_with("k", lease, b"OLD", Put::tags(&["T"]))) == "OK";
    let e = l.e("k");
    let expected = bits_of(2.0, 64, |tseq| tseq >= 3.0);
    assert_eq!(flips(l, &e, "k", fills), expected);
}

#[test]
fn of_a_stamp() {
    let l = &mut lab(2).l;
    let (lease, _) = l.get("k");
    l.invtag(&["T"]);
    let (t0, stamps, e) = (l.p("t0").into_bytes(), stamps(l), raw(l, &l.e("k")));
    let at = stamps.iter().position(|item| item == b"T").expect("it was invalidated") + 1;
    let mut found = Vec::new();
    for bit in 0..16 * 8 {
        let mut bad = stamps[at].clone();
        bad[bit / 8] ^= 0x80 >> (bit % 8);
        l.c(&[b"HSET".as_slice(), &t0, b"T", &bad]);
        if word(&l.fill_with("k", lease, b"OLD", Put::tags(&["T"]))) == "OK" {
            found.push(bit);
        }
        let key = l.e("k");
        write(l, &key, &e);
        restore(l, &stamps);
    }
    assert_eq!(found, bits_of(3.0, 8, |seq| seq <= 2.0));
}

#[test]
fn of_a_hold_after_a_tag_invalidation() {
    let l = &mut lab(2).l;
    let hold = l.begin("k");
    l.invtag(&["T"]);
    let stores = move |l: &mut Client| {
        let answer = l.try_endput("k", hold, b"OLD", &["T"]);
        word(&answer.expect("there is memory")) == "OK"
    };
    let e = l.e("k");
    assert_eq!(flips(l, &e, "k", stores), bits_of(2.0, 64, |tseq| tseq >= 3.0));
}

#[test]
fn of_a_hold_beside_another_writer() {
    const CONTENDED: usize = 3 * 8 + 1;
    let l = &mut lab(2).l;
    let hold = l.begin("k");
    let (other, _) = l.begin_with("k", 10_000, NO_TOKEN);
    assert_eq!(
        l.endw("k", other),
        (1, 1),
        "the other writer committed later and has ended"
    );
    let stores = move |l: &mut Client| word(&l.endput("k", hold, b"OLD")) == "OK";
    let e = l.e("k");
    assert_eq!(flips(l, &e, "k", stores), [CONTENDED]);
}

/// Neither a clear nor an invalidation by key can be undone by one bit: the first replaces 64 random bits, the second
/// leaves nothing to flip.
#[test]
fn of_what_was_cleared_or_invalidated_by_key() {
    let l = &mut lab(2).l;
    l.stored("k", b"OLD", Put::tags(TAGS));
    l.rotate();
    let (e, m) = (l.e("k"), l.p("m"));
    assert_eq!(flips(l, &e, "k", is_served), NONE);
    assert_eq!(flips(l, &m, "k", is_served), NONE);
    l.inv("k");
    assert_eq!(l.c(&["GET", &e]), Answer::Nil);
}
