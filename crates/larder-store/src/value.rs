//! The engine's replies as the `redis` crate's values, moved rather than copied.

use larder_engine::Reply;
use redis::{PushInfo, PushKind, Value, VerbatimFormat};

/// What a RESP3 connection would have answered.
pub(crate) fn from_reply(reply: Reply) -> Value {
    match reply {
        Reply::Ok => Value::Okay,
        Reply::Status(text) => Value::SimpleString(text.into_owned()),
        Reply::Error(error) => encoded('-', error.as_str()),
        Reply::Int(n) => Value::Int(n),
        Reply::Bulk(bytes) => Value::BulkString(bytes),
        Reply::Null | Reply::NullArray => Value::Nil,
        Reply::Array(items) => Value::Array(all(items)),
        Reply::Map(pairs) => Value::Map(pairs.into_iter().map(|(k, v)| (from_reply(k), from_reply(v))).collect()),
        Reply::Set(items) => Value::Set(all(items)),
        Reply::Double(number) => Value::Double(number),
        Reply::Bool(yes) => Value::Boolean(yes),
        Reply::BigNumber(digits) => encoded('(', &digits),
        Reply::Verbatim(format, text) => Value::VerbatimString {
            format: verbatim_format(format),
            text,
        },
        Reply::Push(items) => push(items).map_or(Value::Nil, |PushInfo { kind, data }| Value::Push { kind, data }),
        Reply::Many(replies) => many(replies),
    }
}

fn all(items: Vec<Reply>) -> Vec<Value> {
    items.into_iter().map(from_reply).collect()
}

/// Several answers to one command: the confirmations of `SUBSCRIBE a b`.
fn many(mut replies: Vec<Reply>) -> Value {
    if replies.len() == 1 {
        return replies.pop().map_or(Value::Nil, from_reply);
    }
    Value::Array(all(replies))
}

/// Values that the `redis` crate lets nobody build but its own parser: errors and big numbers. Both are rare.
fn encoded(mark: char, text: &str) -> Value {
    redis::parse_redis_value(format!("{mark}{text}\r\n").as_bytes()).expect("the engine's texts have no line breaks")
}

fn verbatim_format(name: &str) -> VerbatimFormat {
    match name {
        "txt" => VerbatimFormat::Text,
        "mkd" => VerbatimFormat::Markdown,
        other => VerbatimFormat::Unknown(other.to_owned()),
    }
}

/// A push in the `redis` crate's terms; `None` for an empty one, which no server sends.
pub(crate) fn push(items: Vec<Reply>) -> Option<PushInfo> {
    let mut items = items.into_iter();
    let kind = match items.next()? {
        Reply::Bulk(name) => push_kind(&name),
        Reply::Status(name) => push_kind(name.as_bytes()),
        _ => return None,
    };
    Some(PushInfo {
        kind,
        data: items.map(from_reply).collect(),
    })
}

fn push_kind(name: &[u8]) -> PushKind {
    match name {
        b"invalidate" => PushKind::Invalidate,
        b"message" => PushKind::Message,
        b"pmessage" => PushKind::PMessage,
        b"smessage" => PushKind::SMessage,
        b"subscribe" => PushKind::Subscribe,
        b"psubscribe" => PushKind::PSubscribe,
        b"ssubscribe" => PushKind::SSubscribe,
        b"unsubscribe" => PushKind::Unsubscribe,
        b"punsubscribe" => PushKind::PUnsubscribe,
        b"sunsubscribe" => PushKind::SUnsubscribe,
        other => PushKind::Other(String::from_utf8_lossy(other).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use larder_engine::ErrorReply;

    use super::*;

    #[test]
    fn an_error_is_parsed_as_the_crate_parses_a_servers() {
        let value = from_reply(Reply::Error(ErrorReply::new("NOSCRIPT No matching script.")));
        let Value::ServerError(error) = value else {
            panic!("{value:?}")
        };
        assert_eq!(
            (error.code(), error.details()),
            ("NOSCRIPT", Some("No matching script."))
        );
    }

    #[test]
    fn an_invalidation_keeps_its_keys() {
        let push = push(vec![Reply::bulk("invalidate"), Reply::bulks(["a", "b"])]).unwrap();
        assert_eq!(push.kind, PushKind::Invalidate);
        assert_eq!(
            push.data,
            [Value::Array(vec![
                Value::BulkString(b"a".to_vec()),
                Value::BulkString(b"b".to_vec())
            ])]
        );
    }
}
