//! `XREADGROUP GROUP group consumer [COUNT n] [BLOCK ms] [NOACK] STREAMS key [key ...] id [id ...]`: what nobody in the group
//! has read yet (`>`), which is then with this consumer until it is acknowledged; or again what it was given after an id.
//! With `BLOCK` it waits for something new.
//!
//! Reference: <https://redis.io/commands/xreadgroup/>.

use std::time::Duration;

use super::{
    deliver::{self, Reader},
    ids,
    xread::{COUNT_LATE, Request, XREAD, reply},
};
use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, KeySpec},
    ctx::Ctx,
    value::{Stream, StreamId},
    wait::{TIMED_OUT, Waiting},
};

pub(super) const XREADGROUP: CommandSpec = CommandSpec {
    name: "XREADGROUP",
    summary: "Returns new entries from a stream using a consumer group, or accesses the history of the pending entries for a given consumer. Can block",
    complexity: "For each stream mentioned: O(M) with M being the number of elements returned",
    arity: Arity::at_least(7),
    flags: Flags::WRITE.and(Flags::BLOCKING).and(Flags::MOVABLEKEYS),
    keys: KeySpec::HalfAfter {
        keyword: "STREAMS",
        from: 4,
    },
    run: xreadgroup,
    ..XREAD
};

/// What is read of one stream.
#[derive(Clone, Copy)]
enum From {
    /// `>`
    New,
    /// What the consumer has to acknowledge after this id.
    History(StreamId),
}

fn xreadgroup(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let request = Request::parse(ctx, args, true)?;
    let (group, consumer) = request.group.ok_or(ErrorReply::GROUP_MISSING)?;
    let reader = Reader {
        group,
        consumer,
        no_ack: request.no_ack,
    };
    let read_from = request
        .keys
        .iter()
        .enumerate()
        .map(|(i, key)| from(ctx, key, group, args, request.ids_at + i))
        .collect::<Result<Vec<_>, _>>()?;
    let mut found = Vec::new();
    for (key, from) in request.keys.iter().zip(read_from) {
        let entries = match from {
            From::History(after) => deliver::history(ctx, key, &reader, after, request.count)?,
            From::New if has_new(ctx, key, group)? => deliver::new_entries(ctx, key, &reader, request.count)?,
            From::New => None,
        };
        found.extend(entries.map(|entries| (Reply::bulk(key), entries)));
    }
    match request.block {
        Some(timeout) if found.is_empty() => Ok(wait(ctx, &request, &reader, timeout)),
        _ => Ok(reply(ctx, found)),
    }
}

/// What argument `i` asks for of the stream at `key`, which has to have the group.
fn from(ctx: &mut Ctx<'_>, key: &[u8], group: &[u8], args: &Args<'_>, i: usize) -> Result<From, ErrorReply> {
    if ctx
        .read::<Stream>(key)?
        .is_none_or(|stream| stream.group(group).is_none())
    {
        return Err(ErrorReply::no_key_or_group(
            key,
            group,
            " in XREADGROUP with GROUP option",
        ));
    }
    match args.bytes(i) {
        b"$" => Err(ErrorReply::DOLLAR_IN_GROUP),
        b">" => Ok(From::New),
        _ => Ok(match ids::id(args, i)? {
            // As Redis, which writes `>` so.
            StreamId::MAX => From::New,
            id => From::History(id),
        }),
    }
}

/// Whether the stream has an entry that the group has not read.
fn has_new(ctx: &mut Ctx<'_>, key: &[u8], group: &[u8]) -> Result<bool, ErrorReply> {
    let stream = ctx.read::<Stream>(key)?;
    Ok(stream.is_some_and(|stream| {
        let last = stream.last_entry_id();
        stream.group(group).is_some_and(|group| last > Some(group.last_id))
    }))
}

fn wait(ctx: &mut Ctx<'_>, request: &Request<'_>, reader: &Reader<'_>, timeout: Option<Duration>) -> Reply {
    let (group, consumer) = (reader.group.to_vec(), reader.consumer.to_vec());
    let (no_ack, count) = (reader.no_ack, request.count.unwrap_or(COUNT_LATE));
    let wanted = move |ctx: &mut Ctx<'_>, key: &[u8]| {
        let reader = Reader {
            group: &group,
            consumer: &consumer,
            no_ack,
        };
        offered(ctx, key, &reader, count).transpose()
    };
    let mut waiting = Waiting::on(ctx, request.keys, timeout, Box::new(wanted));
    waiting.minds_absence = true;
    ctx.wait(waiting).unwrap_or(TIMED_OUT)
}

/// What a client that waits is given of a stream that changed.
fn offered(ctx: &mut Ctx<'_>, key: &[u8], reader: &Reader<'_>, count: usize) -> Result<Option<Reply>, ErrorReply> {
    if !ctx.holds::<Stream>(key) {
        return Err(ErrorReply::STREAM_GONE);
    }
    let stream = ctx.read::<Stream>(key)?.ok_or(ErrorReply::STREAM_GONE)?;
    let group = stream.group(reader.group).ok_or(ErrorReply::GROUP_GONE)?;
    if stream.last_id() <= group.last_id {
        return Ok(None);
    }
    let entries = deliver::new_entries(ctx, key, reader, Some(count))?;
    Ok(entries.map(|entries| reply(ctx, vec![(Reply::bulk(key), entries)])))
}
