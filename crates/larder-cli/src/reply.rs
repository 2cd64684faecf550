//! Replies of a store, printed as redis-cli prints them, or as JSON.

use std::fmt::Write as _;

use redis::{RedisError, ServerError, Value};
use serde_json::{Value as Json, json};

/// The reply as redis-cli shows it to a person: types told apart, strings quoted, lists numbered.
pub(crate) fn formatted(reply: &Value) -> String {
    let mut out = String::new();
    format(&mut out, reply, 0);
    out
}

/// The reply as redis-cli writes it into a pipe: values alone, a line each.
pub(crate) fn raw(reply: &Value) -> String {
    let lines = |items: &[Value]| items.iter().map(raw).collect::<Vec<_>>().join("\n");
    match reply {
        Value::Nil => String::new(),
        Value::Array(items) | Value::Set(items) => lines(items),
        Value::Push { data, .. } => lines(data),
        Value::Map(pairs) => {
            // As a RESP2 list, which redis-cli asks for unless told otherwise: a key may have spaces.
            let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{}\n{}", raw(k), raw(v))).collect();
            pairs.join("\n")
        }
        Value::Attribute { data, .. } => raw(data),
        // redis-cli ends it with a line break of its own.
        Value::ServerError(error) => format!("{}\n", server_error_text(error)),
        other => text(other),
    }
}

/// The reply as JSON. What is not UTF-8 is written with replacement characters.
pub(crate) fn as_json(reply: &Value) -> Json {
    let list = |items: &[Value]| Json::Array(items.iter().map(as_json).collect());
    match reply {
        Value::Nil => Json::Null,
        Value::Int(n) => json!(n),
        Value::Double(n) => serde_json::Number::from_f64(*n).map_or_else(|| json!(n.to_string()), Json::Number),
        Value::Boolean(yes) => json!(yes),
        Value::Array(items) | Value::Set(items) => list(items),
        Value::Push { data, .. } => list(data),
        Value::Map(pairs) => Json::Object(pairs.iter().map(|(k, v)| (text(k), as_json(v))).collect()),
        Value::Attribute { data, .. } => as_json(data),
        Value::ServerError(error) => json!({ "error": server_error_text(error) }),
        other => json!(text(other)),
    }
}

/// The text of an error as the server sent it, code first, where it is the server's.
pub(crate) fn error_text(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(code), None) => code.to_owned(),
        _ => error.to_string(),
    }
}

fn server_error_text(error: &ServerError) -> String {
    error_text(&error.clone().into())
}

fn text(reply: &Value) -> String {
    match reply {
        Value::Nil => String::new(),
        Value::Okay => "OK".into(),
        Value::SimpleString(text) => text.clone(),
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::VerbatimString { text, .. } => text.clone(),
        Value::Int(n) => n.to_string(),
        Value::Double(n) => n.to_string(),
        Value::Boolean(yes) => if *yes { "true" } else { "false" }.into(),
        other => format!("{other:?}"),
    }
}

/// `indent` is where a nested list's lines begin; its first follows on the line at hand.
fn format(out: &mut String, reply: &Value, indent: usize) {
    let written = match reply {
        Value::Nil => write!(out, "(nil)"),
        Value::Int(n) => write!(out, "(integer) {n}"),
        Value::Double(n) => write!(out, "(double) {n}"),
        Value::Boolean(yes) => write!(out, "({yes})"),
        Value::BulkString(bytes) => write!(out, "\"{}\"", quoted(bytes)),
        Value::VerbatimString { text, .. } => write!(out, "{text}"),
        Value::ServerError(error) => write!(out, "(error) {}", server_error_text(error)),
        Value::Attribute { data, .. } => return format(out, data, indent),
        Value::Array(items) => return format_list(out, items, indent, ')', "array"),
        Value::Set(items) => return format_list(out, items, indent, '~', "set"),
        Value::Push { data, .. } => return format_list(out, data, indent, '>', "push"),
        Value::Map(pairs) => return format_map(out, pairs, indent),
        other => write!(out, "{}", text(other)),
    };
    written.expect("writing to a string does not fail");
}

fn format_list(out: &mut String, items: &[Value], indent: usize, mark: char, kind: &str) {
    if items.is_empty() {
        write!(out, "(empty {kind})").expect("writing to a string does not fail");
    }
    for (i, item) in items.iter().enumerate() {
        let width = number(out, i, items.len(), indent, mark);
        format(out, item, indent + width);
    }
}

fn format_map(out: &mut String, pairs: &[(Value, Value)], indent: usize) {
    if pairs.is_empty() {
        out.push_str("(empty hash)");
    }
    for (i, (key, value)) in pairs.iter().enumerate() {
        let width = number(out, i, pairs.len(), indent, '#');
        format(out, key, indent + width);
        out.push_str(" => ");
        format(out, value, indent + width);
    }
}

/// Begins item `i` of `count`: a new line but for the first, and its number. How wide that is.
fn number(out: &mut String, i: usize, count: usize, indent: usize, mark: char) -> usize {
    let digits = count.to_string().len();
    if i > 0 {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent));
    }
    write!(out, "{:>digits$}{mark} ", i + 1).expect("writing to a string does not fail");
    digits + 2
}

fn quoted(bytes: &[u8]) -> String {
    let mut out = String::new();
    for byte in bytes {
        match byte {
            b'\\' | b'"' => out.extend(['\\', char::from(*byte)]),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x07 => out.push_str("\\a"),
            0x08 => out.push_str("\\b"),
            b' '..=b'~' => out.push(char::from(*byte)),
            other => write!(out, "\\x{other:02x}").expect("writing to a string does not fail"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn replies_look_as_in_redis_cli() {
        let nested = Value::Array(vec![
            Value::Int(1),
            Value::Array(vec![bulk("a\n\"\u{1}"), Value::Nil]),
            Value::Array(Vec::new()),
            Value::Okay,
        ]);
        assert_eq!(
            formatted(&nested),
            "1) (integer) 1\n2) 1) \"a\\n\\\"\\x01\"\n   2) (nil)\n3) (empty array)\n4) OK"
        );
        assert_eq!(
            formatted(&Value::Map(vec![(bulk("k"), bulk("v"))])),
            "1# \"k\" => \"v\""
        );
        assert_eq!(raw(&Value::Array(vec![bulk("a"), Value::Nil, Value::Int(3)])), "a\n\n3");
        assert_eq!(
            as_json(&Value::Map(vec![(bulk("k"), nested)])),
            json!({ "k": [1, ["a\n\"\u{1}", null], [], "OK"] })
        );
    }
}
