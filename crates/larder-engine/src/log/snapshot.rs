//! A key as commands: what a base of the log is made of.

use itoa::Buffer;

use crate::{
    command::stream_claim,
    db::Entry,
    number,
    value::{ConsumerGroup, Stream, StreamId, Value},
};

/// Elements in one command, as Redis writes them: a command of a million arguments would block whoever loads it.
const ELEMENTS: usize = 64;

/// Gives the commands that make `key` what it is in `entry`.
pub(super) fn commands(key: &[u8], entry: &Entry, give: &mut impl FnMut(&[&[u8]])) {
    match &entry.value {
        Value::String(text) => give(&[b"SET", key, text.bytes()]),
        Value::List(list) => in_parts(b"RPUSH", key, list.iter().map(|element| [element]), give),
        Value::Set(set) => in_parts(b"SADD", key, set.iter().map(|member| [member]), give),
        Value::Hash(hash) => in_parts(b"HSET", key, hash.iter().map(|(field, value)| [field, value]), give),
        Value::SortedSet(set) => {
            let scored: Vec<_> = set
                .iter()
                .map(|(member, score)| (number::shown(score), member))
                .collect();
            in_parts(
                b"ZADD",
                key,
                scored.iter().map(|(score, member)| [score.as_bytes(), *member]),
                give,
            );
        }
        Value::Stream(stream) => stream_commands(key, stream, give),
    }
    if let Some(at) = entry.expires_at {
        give(&[b"PEXPIREAT", key, Buffer::new().format(at).as_bytes()]);
    }
}

fn in_parts<'a, const N: usize>(
    command: &'a [u8],
    key: &'a [u8],
    elements: impl Iterator<Item = [&'a [u8]; N]>,
    give: &mut impl FnMut(&[&[u8]]),
) {
    let mut elements = elements.peekable();
    while elements.peek().is_some() {
        let mut args: Vec<&[u8]> = vec![command, key];
        args.extend(elements.by_ref().take(ELEMENTS).flatten());
        give(&args);
    }
}

fn stream_commands(key: &[u8], stream: &Stream, give: &mut impl FnMut(&[&[u8]])) {
    for entry in stream.range(StreamId::MIN, StreamId::MAX) {
        let id = entry.id.to_string();
        let mut args: Vec<&[u8]> = vec![b"XADD", key, id.as_bytes()];
        args.extend(entry.texts());
        give(&args);
    }
    if stream.len() == 0 {
        // A stream without entries is a key all the same: one is added and cut off in the same step.
        give(&[b"XADD", key, b"MAXLEN", b"0", b"0-1", b"x", b"y"]);
    }
    let last = stream.last_id().to_string();
    let deleted = stream.max_deleted_id().to_string();
    let added = stream.added().to_string();
    give(&[
        b"XSETID",
        key,
        last.as_bytes(),
        b"ENTRIESADDED",
        added.as_bytes(),
        b"MAXDELETEDID",
        deleted.as_bytes(),
    ]);
    for (name, group) in stream.groups() {
        group_commands(key, name, group, give);
    }
}

/// A group, its consumers, and what they have to acknowledge. What is pending of entries that are gone is not kept, as in
/// Redis.
fn group_commands(key: &[u8], name: &[u8], group: &ConsumerGroup, give: &mut impl FnMut(&[&[u8]])) {
    let last = group.last_id.to_string();
    let read = group
        .entries_read
        .map_or_else(|| "-1".to_owned(), |read| read.to_string());
    let create: [&[u8]; 7] = [
        b"XGROUP",
        b"CREATE",
        key,
        name,
        last.as_bytes(),
        b"ENTRIESREAD",
        read.as_bytes(),
    ];
    give(&create);
    for (consumer, _) in group.consumers() {
        give(&[b"XGROUP", b"CREATECONSUMER", key, name, consumer]);
    }
    for (id, pending) in group.pending_from(StreamId::MIN) {
        let texts = [
            id.to_string(),
            pending.delivered_at.to_string(),
            pending.deliveries.to_string(),
        ];
        let [id, at, deliveries] = texts.each_ref().map(String::as_bytes);
        give(&stream_claim(key, name, &pending.consumer, id, at, deliveries).concat());
    }
}
