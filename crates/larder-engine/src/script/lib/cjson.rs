//! The library `cjson`: Lua values as JSON, and back.
//!
//! Reference: <https://redis.io/docs/latest/develop/interact/programmability/lua-api/#cjson-library>. An empty table
//! is `{}`; a table whose keys are 1, 2, .. is a list; numbers have 14 digits; `cjson.null` stands for null.
//! The settings (`encode_sparse_array` and its kin) say what is in force and refuse to change it, unlike Redis's:
//! it would change the results of every other script of this engine.

use super::{Keys, cjson_read};
use crate::script::{
    native::{Call, Native, Raise},
    number,
    stack::{Index, Kind, Stack},
};

pub(in crate::script) const FUNCTIONS: &[(&str, Native)] = &[
    ("encode", encode),
    ("decode", cjson_read::decode),
    ("encode_max_depth", |call| setting(call, f64::from(DEPTH_MAX))),
    ("decode_max_depth", |call| setting(call, f64::from(DEPTH_MAX))),
    ("encode_number_precision", |call| setting(call, DIGITS as f64)),
    ("encode_sparse_array", sparse_setting),
    ("encode_keep_buffer", |call| switch(call, true)),
    ("encode_invalid_numbers", |call| switch(call, false)),
    ("decode_invalid_numbers", |call| switch(call, true)),
];

/// How deep tables may nest, in both directions.
pub(super) const DEPTH_MAX: u32 = 1000;

/// Significant digits of a number.
const DIGITS: usize = 14;

/// A list may have so many places for each item, or else so many places, before it counts as sparse.
const SPARSE_RATIO: usize = 2;
const SPARSE_SAFE: usize = 10;

/// Sets `null` and the names in the table on top.
pub(in crate::script) fn add_constants(stack: &mut Stack) {
    stack.push_pointer(std::ptr::null_mut());
    stack.raw_set_field(-2, "null");
    for (name, text) in [("_NAME", "cjson"), ("_VERSION", "2.1.0")] {
        stack.push_bytes(text.as_bytes());
        stack.raw_set_field(-2, name);
    }
}

fn refuse_change(call: &Call<'_>) -> Result<(), Raise> {
    match call.args() {
        0 => Ok(()),
        _ => Err(Raise::text(
            "cjson settings cannot be changed in this engine: every script would see it",
        )),
    }
}

fn sparse_setting(call: &mut Call<'_>) -> Result<usize, Raise> {
    refuse_change(call)?;
    call.stack.push_boolean(false);
    call.stack.push_number(SPARSE_RATIO as f64);
    call.stack.push_number(SPARSE_SAFE as f64);
    Ok(3)
}

fn setting(call: &mut Call<'_>, value: f64) -> Result<usize, Raise> {
    refuse_change(call)?;
    call.stack.push_number(value);
    Ok(1)
}

fn switch(call: &mut Call<'_>, value: bool) -> Result<usize, Raise> {
    refuse_change(call)?;
    call.stack.push_boolean(value);
    Ok(1)
}

fn encode(call: &mut Call<'_>) -> Result<usize, Raise> {
    if call.args() != 1 {
        return Err(Raise::Argument(1, "expected 1 argument".into()));
    }
    let mut out = Vec::with_capacity(128);
    write(&mut out, call.stack, 1)?;
    call.stack.push_bytes(&out);
    Ok(1)
}

/// Writes the value on top.
fn write(out: &mut Vec<u8>, stack: &mut Stack, depth: u32) -> Result<(), Raise> {
    match stack.kind(-1) {
        Kind::Nil => out.extend_from_slice(b"null"),
        Kind::LightUserdata if stack.pointer(-1).is_null() => out.extend_from_slice(b"null"),
        Kind::Boolean => out.extend_from_slice(if stack.boolean(-1) { b"true" } else { b"false" }),
        Kind::Number => write_number(out, stack.number(-1).unwrap_or_default())?,
        Kind::String => write_text(out, stack.bytes(-1).unwrap_or_default()),
        Kind::Table => write_table(out, stack, depth)?,
        other => return Err(unfit(other, "type not supported")),
    }
    Ok(())
}

fn unfit(kind: Kind, reason: &str) -> Raise {
    Raise::text(format!("Cannot serialise {}: {reason}", kind.name()))
}

fn write_number(out: &mut Vec<u8>, number: f64) -> Result<(), Raise> {
    if !number.is_finite() {
        return Err(unfit(Kind::Number, "must not be NaN or Inf"));
    }
    number::write_general(out, number, DIGITS);
    Ok(())
}

fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' | b'/' => out.extend_from_slice(&[b'\\', byte]),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0..0x20 | 0x7f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

fn write_table(out: &mut Vec<u8>, stack: &mut Stack, depth: u32) -> Result<(), Raise> {
    if depth > DEPTH_MAX || !stack.room(4) {
        return Err(Raise::text(format!("Cannot serialise, excessive nesting ({depth})")));
    }
    let keys = Keys::of(stack, -1);
    match keys.largest {
        Some(len) if len > SPARSE_RATIO * keys.count && len > SPARSE_SAFE => {
            Err(unfit(Kind::Table, "excessively sparse array"))
        }
        Some(len) if len > 0 => write_list(out, stack, len, depth),
        _ => write_object(out, stack, depth),
    }
}

fn write_list(out: &mut Vec<u8>, stack: &mut Stack, len: usize, depth: u32) -> Result<(), Raise> {
    out.push(b'[');
    for i in 1..=len {
        if i > 1 {
            out.push(b',');
        }
        stack.raw_get_item(-1, i);
        write(out, stack, depth + 1)?;
        stack.pop(1);
    }
    out.push(b']');
    Ok(())
}

fn write_object(out: &mut Vec<u8>, stack: &mut Stack, depth: u32) -> Result<(), Raise> {
    let table: Index = stack.top();
    let mut first = true;
    out.push(b'{');
    stack.push_nil();
    while stack.next(table) {
        if !first {
            out.push(b',');
        }
        first = false;
        write_key(out, stack)?;
        out.push(b':');
        write(out, stack, depth + 1)?;
        stack.pop(1);
    }
    out.push(b'}');
    Ok(())
}

/// The key under the value on top; a number key stays a number, or the walk would lose its place.
fn write_key(out: &mut Vec<u8>, stack: &Stack) -> Result<(), Raise> {
    match stack.kind(-2) {
        Kind::Number => {
            out.push(b'"');
            write_number(out, stack.number(-2).unwrap_or_default())?;
            out.push(b'"');
            Ok(())
        }
        Kind::String => {
            write_text(out, stack.bytes(-2).unwrap_or_default());
            Ok(())
        }
        other => Err(unfit(other, "table key must be a number or string")),
    }
}
