//! Records that are damaged, foreign or of the wrong type, and a server without memory.

use larder_testkit::Answer;

use super::{
    client::{Client, NO_TOKEN, Put, word},
    header::{be_u32, value},
    lab::Lab,
};

pub(crate) fn h_foreign_and_damaged_records_are_absent(lab: &mut Lab) {
    let other_format = [b"LD\x02\x01".as_slice(), &[0; 200]].concat();
    let junk: [&[u8]; 7] = [
        b"1230garbage",
        b"LD",
        b"LD\x01\x10",
        &other_format,
        &[b'x'; 300],
        b"",
        b"\0",
    ];
    for junk in junk {
        for overwrite in [over_get, over_inv, over_begin, over_put, over_mark_stale, over_endw] {
            let e = lab.l.e("k").into_bytes();
            lab.l.c(&[b"SET", e.as_slice(), junk]);
            overwrite(&mut lab.l);
        }
    }
}

fn over_get(l: &mut Client) {
    l.stored("k", b"v", Put::default());
}
fn over_inv(l: &mut Client) {
    assert_eq!(l.inv("k"), 1);
}
fn over_begin(l: &mut Client) {
    let hold = l.begin("k");
    assert_eq!(word(&l.endput("k", hold, b"v")), "OK");
}
fn over_put(l: &mut Client) {
    assert_eq!(word(&l.put("k", b"v")), "OK");
}
fn over_mark_stale(l: &mut Client) {
    l.mark_stale("k");
    assert_eq!(l.c(&["EXISTS", &l.e("k")]).int(), 0);
}
fn over_endw(l: &mut Client) {
    let stranger = l.token();
    l.endw("k", stranger);
    assert_eq!(l.c(&["EXISTS", &l.e("k")]).int(), 0);
}

pub(crate) fn h2_every_flipped_byte_is_survived(lab: &mut Lab) {
    let l = &mut lab.l;
    l.stored("k", b"payload", Put::tags(&["T", "U"]));
    let good = l.c(&["GET", &l.e("k")]).bytes().to_vec();
    for at in 0..=good.len() {
        for flip in [1u8, 0x10, 0xff] {
            let mut bad = good.clone();
            match bad.get_mut(at) {
                Some(byte) => *byte ^= flip,
                None => bad.truncate(usize::from(flip) % good.len()),
            }
            survive(l, &good, &bad, at);
        }
    }
}

/// Runs every script over a damaged record; none may fail, and what reads as a hit must fail its checksum.
fn survive(l: &mut Client, good: &[u8], bad: &[u8], at: usize) {
    let e = l.e("k").into_bytes();
    l.c(&[b"SET", e.as_slice(), bad, b"PX", b"99999"]);
    let peek = super::client::Ask {
        mode: "peek",
        ..Default::default()
    };
    let answer = l.get_with("k", peek).1;
    let stranger = l.token();
    l.revalidate("k", &[&good[80..84], b"abcd"].concat());
    l.extend("k", stranger);
    l.fill("k", stranger, b"v");
    if at < 3 || (8..16).contains(&at) {
        assert_eq!(word(&answer), "MISS", "with byte {at} changed");
    }
    if word(&answer) == "HIT" && value(answer.list()[1].bytes()) != b"payload" {
        assert!(!checksum_fits(bad), "byte {at} changed the value and no checksum told");
    }
    l.begin_with("k", 10_000, NO_TOKEN);
    l.c(&[b"SET", e.as_slice(), bad]);
    l.inv("k");
    l.c(&[b"SET", e.as_slice(), bad]);
    l.mark_stale("k");
}

fn checksum_fits(e: &[u8]) -> bool {
    let at = super::header::payload_at(e);
    crc32c::crc32c(&e[at + 5..]) as usize == be_u32(&e[at..at + 4])
}

pub(crate) fn h3_wrong_types_are_healed(lab: &mut Lab) {
    for victim in 0..4 {
        let l = &mut lab.l;
        l.c(&["FLUSHALL"]);
        l.stored("k", b"v", Put::tags(&["T"]));
        l.invtag(&["T"]);
        let key = l.keys("k")[victim].clone();
        l.c(&["DEL", &key]);
        l.c(&["LPUSH", &key, "x"]);
        let error = cycle(l).expect_err("a list stands where a string or hash is needed");
        assert!(error.contains("WRONGTYPE"), "{error}");
        assert_eq!(l.heal("k"), 1);
        l.inv("k");
        cycle(l).expect("healed");
        assert_eq!(l.state("k"), "HIT");
        assert_eq!(l.heal("k"), 0);
    }
}

fn cycle(l: &mut Client) -> Result<(), String> {
    let rnd = l.token()[..8].try_into().expect("eight of sixteen");
    l.try_invtag(&["T"], rnd)?;
    let (token, answer) = l.try_get("k", Default::default())?;
    if word(&answer) == "LEASE" {
        assert_eq!(word(&l.try_fill("k", token, b"v", Put::tags(&["T"]))?), "OK");
    }
    Ok(())
}

pub(crate) fn x_out_of_memory_blocks_stores_not_invalidations(lab: &mut Lab) {
    lab.l.stored("k", b"v", Put::default());
    lab.l.stored("j", b"v", Put::tags(&["T"]));
    lab.l.stored("s", b"v", Put::soft(1));
    lab.pass(10);
    let l = &mut lab.l;
    let (lease, _) = l.get("z");
    let hold = l.begin("h");
    l.c(&["CONFIG", "SET", "maxmemory", "1"]);

    assert_eq!(l.state("k"), "HIT");
    refused_for_memory(l.try_get("new", Default::default()).map(|(_, answer)| answer));
    refused_for_memory(l.try_fill("z", lease, b"v", Put::default()));
    refused_for_memory(l.try_put("k", b"n", &[]));
    refused_for_memory(l.try_endput("h", hold, b"v", &[]));
    refused_for_memory(l.try_get("s", Default::default()).map(|(_, answer)| answer));
    assert_eq!(l.peek("s"), "STALE");

    assert_eq!(l.inv("k"), 1);
    l.invtag(&["T"]);
    assert_eq!(l.peek("j"), "MISS");
    assert_eq!(l.release("z", lease), 1);
    assert_eq!(l.endw("h", hold), (1, 0));
    let other = l.begin("b");
    l.endw("b", other);
    assert_eq!(l.mark_stale("s"), 1);
    assert_eq!(l.rotate(), 1);
}

#[track_caller]
fn refused_for_memory(answer: Result<Answer, String>) {
    let error = answer.expect_err("there is no memory");
    assert!(error.contains("OOM"), "{error}");
}
