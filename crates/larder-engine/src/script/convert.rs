//! Values between commands and scripts, by Redis's rules.
//!
//! Reference: <https://redis.io/docs/latest/develop/interact/programmability/lua-api/#data-type-conversion>.

use super::{
    number,
    stack::{Index, Kind, Stack},
};
use crate::{ErrorReply, Reply, client::Resp};

/// How deep a script's result may nest. Redis ends at the depth of Lua's stack, about 8,000 values; a reply here
/// is built by recursion, on a thread's stack of unknown size.
const DEPTH_MAX: usize = 512;

/// Slots of Lua's stack that one level of a value takes at most.
const SLOTS: usize = 6;

/// Pushes a command's reply as a script sees it. An error becomes the table `{err = text}`.
pub(super) fn push_reply(stack: &mut Stack, reply: &Reply, resp: Resp) {
    assert!(stack.room(SLOTS), "a reply nests less deeply than Lua's stack reaches");
    match reply {
        Reply::Ok => push_field(stack, "ok", b"OK"),
        Reply::Status(text) => push_field(stack, "ok", text.as_bytes()),
        Reply::Error(error) => push_field(stack, "err", error.as_str().as_bytes()),
        Reply::Int(n) => stack.push_number(*n as f64),
        Reply::Bulk(bytes) => stack.push_bytes(bytes),
        Reply::Null | Reply::NullArray if resp == Resp::V3 => stack.push_nil(),
        Reply::Null | Reply::NullArray => stack.push_boolean(false),
        Reply::Array(items) | Reply::Push(items) | Reply::Many(items) => push_items(stack, items.iter(), resp),
        Reply::Map(pairs) if resp == Resp::V3 => push_map(stack, pairs, resp),
        Reply::Map(pairs) => push_items(stack, pairs.iter().flat_map(|(key, value)| [key, value]), resp),
        Reply::Set(items) if resp == Resp::V3 => push_set(stack, items, resp),
        Reply::Set(items) => push_items(stack, items.iter(), resp),
        other => push_scalar(stack, other, resp),
    }
}

/// The kinds that RESP3 added.
fn push_scalar(stack: &mut Stack, reply: &Reply, resp: Resp) {
    let rich = resp == Resp::V3;
    match reply {
        Reply::Double(number) if rich => {
            stack.push_table(0, 1);
            stack.push_number(*number);
            stack.raw_set_field(-2, "double");
        }
        Reply::Double(number) => {
            let mut text = Vec::new();
            number::write_general(&mut text, *number, 17);
            stack.push_bytes(&text);
        }
        Reply::Bool(value) if rich => stack.push_boolean(*value),
        Reply::Bool(value) => stack.push_number(f64::from(u8::from(*value))),
        Reply::BigNumber(digits) if rich => push_field(stack, "big_number", digits.as_bytes()),
        Reply::BigNumber(digits) => stack.push_bytes(digits.as_bytes()),
        Reply::Verbatim(format, text) if rich => {
            stack.push_table(0, 1);
            push_field(stack, "string", text.as_bytes());
            stack.push_bytes(format.as_bytes());
            stack.raw_set_field(-2, "format");
            stack.raw_set_field(-2, "verbatim_string");
        }
        Reply::Verbatim(_, text) => stack.push_bytes(text.as_bytes()),
        _ => stack.push_nil(),
    }
}

fn push_field(stack: &mut Stack, field: &str, text: &[u8]) {
    stack.push_table(0, 1);
    stack.push_bytes(text);
    stack.raw_set_field(-2, field);
}

fn push_items<'r>(stack: &mut Stack, items: impl Iterator<Item = &'r Reply>, resp: Resp) {
    stack.push_table(items.size_hint().0, 0);
    for (i, item) in items.enumerate() {
        push_reply(stack, item, resp);
        stack.raw_set_item(-2, i + 1);
    }
}

fn push_map(stack: &mut Stack, pairs: &[(Reply, Reply)], resp: Resp) {
    stack.push_table(0, 1);
    stack.push_table(0, pairs.len());
    for (key, value) in pairs {
        push_key(stack, key, resp);
        push_reply(stack, value, resp);
        stack.raw_set(-3);
    }
    stack.raw_set_field(-2, "map");
}

fn push_set(stack: &mut Stack, items: &[Reply], resp: Resp) {
    stack.push_table(0, 1);
    stack.push_table(0, items.len());
    for item in items {
        push_key(stack, item, resp);
        stack.push_boolean(true);
        stack.raw_set(-3);
    }
    stack.raw_set_field(-2, "set");
}

/// A key of a table: never nil, and no command answers with a NaN as one.
fn push_key(stack: &mut Stack, key: &Reply, resp: Resp) {
    match key {
        Reply::Null | Reply::NullArray => stack.push_boolean(false),
        other => push_reply(stack, other, resp),
    }
}

/// Takes the value on top off the stack, as a reply. `resp` is what the script speaks.
pub(super) fn pop_reply(stack: &mut Stack, resp: Resp) -> Reply {
    let reply = read(stack, resp, 0);
    stack.pop(1);
    reply
}

/// The value on top as a reply; the stack ends as it began.
fn read(stack: &mut Stack, resp: Resp, depth: usize) -> Reply {
    if depth > DEPTH_MAX || !stack.room(SLOTS) {
        return Reply::Error(ErrorReply::new("ERR reached lua stack limit"));
    }
    match stack.kind(-1) {
        Kind::String => Reply::bulk(stack.bytes(-1).expect("a string has bytes")),
        Kind::Boolean if resp == Resp::V3 => Reply::Bool(stack.boolean(-1)),
        Kind::Boolean if stack.boolean(-1) => Reply::Int(1),
        Kind::Number => Reply::Int(number::to_integer(stack.number(-1).expect("a number is one"))),
        Kind::Table => read_table(stack, resp, depth),
        _ => Reply::Null,
    }
}

/// A table is what its fields say: an error, a status, one of RESP3's kinds, or else a list.
fn read_table(stack: &mut Stack, resp: Resp, depth: usize) -> Reply {
    if let Some(text) = text_field(stack, "err") {
        return Reply::Error(ErrorReply::new(on_one_line(&text)));
    }
    if let Some(text) = text_field(stack, "ok") {
        return match on_one_line(&text) {
            text if text == "OK" => Reply::Ok,
            text => Reply::status(text),
        };
    }
    read_rich(stack, resp, depth).unwrap_or_else(|| read_list(stack, resp, depth))
}

fn read_rich(stack: &mut Stack, resp: Resp, depth: usize) -> Option<Reply> {
    if let Some(number) = field(stack, "double", Kind::Number, |stack| stack.number(-1)) {
        return number.map(Reply::Double);
    }
    if let Some(digits) = text_field(stack, "big_number") {
        return Some(Reply::BigNumber(on_one_line(&digits)));
    }
    if let Some(Some(reply)) = field(stack, "verbatim_string", Kind::Table, read_verbatim) {
        return Some(reply);
    }
    if let Some(pairs) = field(stack, "map", Kind::Table, |stack| read_pairs(stack, resp, depth)) {
        return Some(Reply::Map(pairs));
    }
    field(stack, "set", Kind::Table, |stack| read_pairs(stack, resp, depth))
        .map(|pairs| Reply::Set(pairs.into_iter().map(|(key, _)| key).collect()))
}

/// What `body` makes of the field on top, if it is of that kind.
fn field<R>(stack: &mut Stack, name: &str, kind: Kind, body: impl FnOnce(&mut Stack) -> R) -> Option<R> {
    stack.raw_get_field(-1, name);
    let result = (stack.kind(-1) == kind).then(|| body(stack));
    stack.pop(1);
    result
}

fn text_field(stack: &mut Stack, name: &str) -> Option<Vec<u8>> {
    field(stack, name, Kind::String, |stack| stack.bytes(-1).map(<[u8]>::to_vec)).flatten()
}

/// RESP3 knows two formats of verbatim text, and this engine's replies name them as constants.
fn read_verbatim(stack: &mut Stack) -> Option<Reply> {
    let format = text_field(stack, "format")?;
    let text = text_field(stack, "string")?;
    let format = if format == b"mkd" { "mkd" } else { "txt" };
    Some(Reply::Verbatim(format, String::from_utf8_lossy(&text).into_owned()))
}

fn read_pairs(stack: &mut Stack, resp: Resp, depth: usize) -> Vec<(Reply, Reply)> {
    let table: Index = stack.top();
    let mut pairs = Vec::new();
    stack.push_nil();
    while stack.next(table) {
        let value = read(stack, resp, depth + 1);
        stack.pop(1);
        // A copy: looking at a number key as text would change it and lose the place.
        stack.push_copy(-1);
        pairs.push((read(stack, resp, depth + 1), value));
        stack.pop(1);
    }
    pairs
}

/// The items from 1 up to the first nil.
fn read_list(stack: &mut Stack, resp: Resp, depth: usize) -> Reply {
    let mut items = Vec::new();
    loop {
        stack.raw_get_item(-1, items.len() + 1);
        if stack.kind(-1) == Kind::Nil {
            stack.pop(1);
            return Reply::Array(items);
        }
        items.push(pop_nested(stack, resp, depth));
    }
}

fn pop_nested(stack: &mut Stack, resp: Resp, depth: usize) -> Reply {
    let reply = read(stack, resp, depth + 1);
    stack.pop(1);
    reply
}

/// A line break would end an error or a status early.
pub(super) fn on_one_line(text: &[u8]) -> String {
    String::from_utf8_lossy(text)
        .trim_end_matches(['\r', '\n'])
        .replace(['\r', '\n'], " ")
}
