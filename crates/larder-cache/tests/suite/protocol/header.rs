//! The record E as bytes: what stands where, and what a client may take from it without a script.

use larder_testkit::Answer;

use super::{
    client::{Ask, Put, word},
    lab::Lab,
};

pub(crate) fn be_u32(bytes: &[u8]) -> usize {
    u32::from_be_bytes(bytes.try_into().expect("four bytes")) as usize
}

fn be_f64(bytes: &[u8]) -> f64 {
    f64::from_be_bytes(bytes.try_into().expect("eight bytes"))
}

/// Where the payload begins: after the header and the tag block.
pub(crate) fn payload_at(e: &[u8]) -> usize {
    88 + be_u32(&e[84..88])
}

/// The value in a record, behind its checksum and codec.
pub(crate) fn value(e: &[u8]) -> &[u8] {
    &e[payload_at(e) + 5..]
}

/// What a near copy is recognised by: the entry's number and its checksum.
pub(crate) fn uid(e: &[u8]) -> Vec<u8> {
    let at = payload_at(e);
    [&e[80..84], &e[at..at + 4]].concat()
}

/// Whether a client may take the value from `MGET E M` alone.
pub(crate) fn fast_path(pair: &Answer, now_ms: f64) -> bool {
    let [Answer::Bytes(e), Answer::Bytes(m)] = pair.list() else {
        return false;
    };
    let sound = e.len() >= 93 && m.len() == 16 && e.starts_with(b"LD\x01") && payload_at(e) + 5 <= e.len();
    sound
        && e[3] & 0x31 == 1
        && e[8..16] == m[..8]
        && now_ms < be_f64(&e[24..32])
        && (e[84..88] == [0; 4] || (e[40..56] == [0; 16] && e[64..72] == m[8..16]))
}

pub(crate) fn o_header_fields(lab: &mut Lab) {
    let l = &mut lab.l;
    let token = l.stored(
        "k",
        b"v",
        Put {
            version: 7,
            cost: 33,
            tags: &["T"],
            ..Put::default()
        },
    );
    let (e, m) = (l.c(&["GET", &l.e("k")]), l.c(&["GET", &l.p("m")]));
    let (e, m) = (e.bytes(), m.bytes());
    assert_eq!(e[..8], *b"LD\x01\x01\x00\x01\x00\x02");
    assert_eq!(e[8..16], m[..8], "incarnation");
    assert_eq!(e[16..24], 7u64.to_be_bytes(), "version");
    assert_eq!(e[40..64], [0; 24], "no lease");
    assert_eq!(e[64..72], m[8..], "tseq");
    assert_eq!(e[72..80], [[0; 4], 33u32.to_be_bytes()].concat(), "reserved, cost");
    assert_eq!(e[80..84], token[..4], "uid");
    assert_eq!(be_u32(&e[84..88]), 18, "one tag of one byte: length, tag, stamp");
    assert_eq!(e[88..90], *b"\x01T");
    assert_eq!(value(e), b"v");
    let (soft, hard) = (be_f64(&e[24..32]), be_f64(&e[32..40]));
    assert_eq!(hard - soft, 60_000.0);
    assert_eq!(l.c(&["PEXPIRETIME", &l.e("k")]).int(), hard as i64);
}

pub(crate) fn u_every_timed_reply_ends_with_now(lab: &mut Lab) {
    let now = lab.now_ms() as i64;
    let l = &mut lab.l;
    let mut said = vec![
        l.get_with(
            "k",
            Ask {
                mode: "peek",
                ..Ask::default()
            },
        )
        .1,
    ];
    let (token, answer) = l.get("k");
    said.extend([
        answer,
        l.get("k").1,
        l.renew("k", token, 500),
        l.fill("k", token, b"v"),
        l.get("k").1,
    ]);
    said.extend([l.extend("k", token), l.put("k", b"w")]);
    let e = l.c(&["GET", &l.e("k")]);
    said.push(l.revalidate("k", &uid(e.bytes())));
    said.extend([l.begin_with("k", 10_000, [0; 16]).1, l.get("k").1]);
    for answer in said {
        let last = answer.list().last().expect("no reply is empty").int();
        assert!(
            (last - now).abs() < 5_000,
            "{last} against {now} in {}",
            word_or_number(&answer)
        );
    }
}

fn word_or_number(answer: &Answer) -> String {
    match &answer.list()[0] {
        Answer::Int(number) => number.to_string(),
        _ => word(answer),
    }
}
