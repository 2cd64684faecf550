//! The library `cmsgpack`: Lua values as MessagePack, and back.
//!
//! Reference: <https://redis.io/docs/latest/develop/interact/programmability/lua-api/#cmsgpack-library>. A table whose
//! keys are 1 to n is a list; a number without a fraction is an integer; a float is 4 bytes where that loses nothing.

use super::{Keys, cmsgpack_read};
use crate::script::{
    native::{Call, Native, Raise},
    stack::{Index, Kind, Stack},
};

pub(in crate::script) const FUNCTIONS: &[(&str, Native)] = &[
    ("pack", pack),
    ("unpack", cmsgpack_read::unpack),
    ("unpack_one", cmsgpack_read::unpack_one),
    ("unpack_limit", cmsgpack_read::unpack_limit),
];

/// Tables nested deeper are packed as nil.
const DEPTH_MAX: u32 = 16;

/// Sets the names in the table on top.
pub(in crate::script) fn add_constants(stack: &mut Stack) {
    for (name, text) in [("_NAME", "cmsgpack"), ("_VERSION", "lua-cmsgpack 0.4.0")] {
        stack.push_bytes(text.as_bytes());
        stack.raw_set_field(-2, name);
    }
}

/// `pack(value, ..)`: one after another.
fn pack(call: &mut Call<'_>) -> Result<usize, Raise> {
    let count = call.args();
    if count == 0 {
        return Err(Raise::Argument(0, "MessagePack pack needs input.".into()));
    }
    let mut out = Vec::with_capacity(128);
    for at in 1..=count as Index {
        call.stack.push_copy(at);
        write(&mut out, call.stack, 0);
        call.stack.pop(1);
    }
    call.stack.push_bytes(&out);
    Ok(1)
}

/// Writes the value on top.
fn write(out: &mut Vec<u8>, stack: &mut Stack, depth: u32) {
    match stack.kind(-1) {
        Kind::String => write_text(out, stack.bytes(-1).unwrap_or_default()),
        Kind::Boolean => out.push(if stack.boolean(-1) { 0xc3 } else { 0xc2 }),
        Kind::Number => write_number(out, stack.number(-1).unwrap_or_default()),
        Kind::Table if depth < DEPTH_MAX && stack.room(4) => write_table(out, stack, depth),
        _ => out.push(0xc0),
    }
}

/// A length: in the first byte if it is short, else after a byte that says how wide it is.
fn write_length(out: &mut Vec<u8>, length: usize, short: (u8, usize), wide: &[(u8, usize)]) {
    if length <= short.1 {
        out.push(short.0 | length as u8);
        return;
    }
    let (code, width) = wide
        .iter()
        .copied()
        .find(|(_, width)| length < 1 << (8 * width))
        .unwrap_or(wide[wide.len() - 1]);
    out.push(code);
    out.extend_from_slice(&(length as u64).to_be_bytes()[8 - width..]);
}

fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    write_length(out, text.len(), (0xa0, 31), &[(0xd9, 1), (0xda, 2), (0xdb, 4)]);
    out.extend_from_slice(text);
}

fn write_number(out: &mut Vec<u8>, number: f64) {
    /// 2^63: integers end here.
    const END: f64 = 9_223_372_036_854_775_808.0;
    if number.fract() == 0.0 && (-END..END).contains(&number) {
        return write_integer(out, number as i64);
    }
    let narrow = number as f32;
    if f64::from(narrow) == number {
        out.push(0xca);
        out.extend_from_slice(&narrow.to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

/// In as few bytes as hold it.
fn write_integer(out: &mut Vec<u8>, n: i64) {
    let (code, width) = match n {
        -32..=127 => return out.push(n as u8),
        128..=0xff => (0xcc, 1),
        0x100..=0xffff => (0xcd, 2),
        0x1_0000..=0xffff_ffff => (0xce, 4),
        0x1_0000_0000.. => (0xcf, 8),
        -0x80..-32 => (0xd0, 1),
        -0x8000..-0x80 => (0xd1, 2),
        -0x8000_0000..-0x8000 => (0xd2, 4),
        ..-0x8000_0000 => (0xd3, 8),
    };
    out.push(code);
    out.extend_from_slice(&n.to_be_bytes()[8 - width..]);
}

fn write_table(out: &mut Vec<u8>, stack: &mut Stack, depth: u32) {
    let keys = Keys::of(stack, -1);
    if keys.largest == Some(keys.count) {
        return write_list(out, stack, keys.count, depth);
    }
    write_length(out, keys.count, (0x80, 15), &[(0xde, 2), (0xdf, 4)]);
    let table = stack.top();
    stack.push_nil();
    while stack.next(table) {
        stack.push_copy(-2);
        write(out, stack, depth + 1);
        stack.pop(1);
        write(out, stack, depth + 1);
        stack.pop(1);
    }
}

fn write_list(out: &mut Vec<u8>, stack: &mut Stack, len: usize, depth: u32) {
    write_length(out, len, (0x90, 15), &[(0xdc, 2), (0xdd, 4)]);
    for i in 1..=len {
        stack.raw_get_item(-1, i);
        write(out, stack, depth + 1);
        stack.pop(1);
    }
}
