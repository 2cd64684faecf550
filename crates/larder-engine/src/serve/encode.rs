//! Writing replies in RESP2 or RESP3, byte for byte as Redis 7.0 does.
//!
//! Reference: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

use crate::{Reply, Resp};

/// Appends `reply` to `out`, as a client speaking `resp` understands it.
pub(crate) fn encode(out: &mut Vec<u8>, reply: &Reply, resp: Resp) {
    let v3 = resp == Resp::V3;
    match reply {
        Reply::Ok => out.extend_from_slice(b"+OK\r\n"),
        Reply::Status(text) => line(out, b'+', text.as_bytes()),
        Reply::Error(error) => line(out, b'-', error.as_str().as_bytes()),
        Reply::Int(number) => integer(out, b':', *number),
        Reply::Bulk(bytes) => bulk(out, bytes),
        Reply::Null | Reply::NullArray if v3 => out.extend_from_slice(b"_\r\n"),
        Reply::Null => out.extend_from_slice(b"$-1\r\n"),
        Reply::NullArray => out.extend_from_slice(b"*-1\r\n"),
        Reply::Array(items) => list(out, b'*', items, resp),
        Reply::Set(items) => list(out, if v3 { b'~' } else { b'*' }, items, resp),
        Reply::Push(items) => list(out, if v3 { b'>' } else { b'*' }, items, resp),
        Reply::Map(pairs) => map(out, pairs, resp),
        Reply::Double(number) => double(out, *number, resp),
        Reply::Bool(yes) if v3 => out.extend_from_slice(if *yes { b"#t\r\n" } else { b"#f\r\n" }),
        Reply::Bool(yes) => integer(out, b':', i64::from(*yes)),
        Reply::BigNumber(digits) if v3 => line(out, b'(', digits.as_bytes()),
        Reply::BigNumber(digits) => bulk(out, digits.as_bytes()),
        Reply::Verbatim(format, text) if v3 => verbatim(out, format, text),
        Reply::Verbatim(_, text) => bulk(out, text.as_bytes()),
        Reply::Many(replies) => replies.iter().for_each(|reply| encode(out, reply, resp)),
    }
}

/// A line must stay one: a break in it would be read as the start of another reply.
fn line(out: &mut Vec<u8>, sigil: u8, text: &[u8]) {
    out.push(sigil);
    let start = out.len();
    out.extend_from_slice(text);
    for byte in &mut out[start..] {
        if matches!(byte, b'\r' | b'\n') {
            *byte = b' ';
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn integer(out: &mut Vec<u8>, sigil: u8, number: i64) {
    out.push(sigil);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// A length. Nothing in memory has a length beyond `i64`.
fn header(out: &mut Vec<u8>, sigil: u8, len: usize) {
    integer(out, sigil, len as i64);
}

fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    header(out, b'$', bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

fn list(out: &mut Vec<u8>, sigil: u8, items: &[Reply], resp: Resp) {
    header(out, sigil, items.len());
    items.iter().for_each(|item| encode(out, item, resp));
}

fn map(out: &mut Vec<u8>, pairs: &[(Reply, Reply)], resp: Resp) {
    match resp {
        Resp::V3 => header(out, b'%', pairs.len()),
        Resp::V2 => header(out, b'*', pairs.len() * 2),
    }
    for (key, value) in pairs {
        encode(out, key, resp);
        encode(out, value, resp);
    }
}

fn double(out: &mut Vec<u8>, number: f64, resp: Resp) {
    let text = crate::number::shown(number);
    match resp {
        Resp::V3 => line(out, b',', text.as_bytes()),
        Resp::V2 => bulk(out, text.as_bytes()),
    }
}

fn verbatim(out: &mut Vec<u8>, format: &str, text: &str) {
    header(out, b'=', format.len() + 1 + text.len());
    out.extend_from_slice(format.as_bytes());
    out.push(b':');
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}
