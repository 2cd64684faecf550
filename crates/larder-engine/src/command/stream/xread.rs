//! `XREAD [COUNT n] [BLOCK ms] STREAMS key [key ...] id [id ...]`: what came after these ids; `$` for the last id now. With
//! `BLOCK` it waits for the first stream to which something comes.
//!
//! Reference: <https://redis.io/commands/xread/>.

use std::time::Duration;

use super::{ids, listing};
use crate::{
    ErrorReply, Reply, Resp,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec, timeout},
    ctx::Ctx,
    db::Key,
    value::{Stream, StreamId},
    wait::{TIMED_OUT, Waiting},
};

pub(super) const XREAD: CommandSpec = CommandSpec {
    name: "XREAD",
    summary: "Return never seen elements in multiple streams, with IDs greater than the ones reported by the caller for each stream. Can block.",
    since: "5.0.0",
    complexity: "For each stream mentioned: O(N) with N being the number of elements being returned",
    group: Group::Stream,
    arity: Arity::at_least(4),
    flags: Flags::READONLY.and(Flags::BLOCKING).and(Flags::MOVABLEKEYS),
    keys: KeySpec::HalfAfter {
        keyword: "STREAMS",
        from: 1,
    },
    subcommands: &[],
    run: xread,
};

/// What `XREAD` and `XREADGROUP` are asked for.
pub(super) struct Request<'a> {
    /// The group and the consumer.
    pub(super) group: Option<(&'a [u8], &'a [u8])>,
    /// Whether what is read need not be acknowledged.
    pub(super) no_ack: bool,
    /// All of them if none.
    pub(super) count: Option<usize>,
    /// How long to wait where there is nothing, if at all; none inside is for ever.
    pub(super) block: Option<Option<Duration>>,
    pub(super) keys: &'a [&'a [u8]],
    /// The number of the first id's argument.
    pub(super) ids_at: usize,
}

impl<'a> Request<'a> {
    /// Reads the arguments, those of `XREADGROUP` if `in_group`.
    pub(super) fn parse(ctx: &Ctx<'_>, args: &Args<'a>, in_group: bool) -> Result<Self, ErrorReply> {
        let mut request = Self {
            group: None,
            no_ack: false,
            count: None,
            block: None,
            keys: &[],
            ids_at: 0,
        };
        let mut i = 1;
        while i < args.len() {
            let left = args.len() - 1 - i;
            i += match () {
                () if args.is(i, "BLOCK") && left >= 1 => {
                    if ctx.in_script {
                        return Err(ErrorReply::no_wait_in_script(args.bytes(0)));
                    }
                    request.block = Some(timeout::millis(args, i + 1)?);
                    2
                }
                () if args.is(i, "COUNT") && left >= 1 => {
                    request.count = usize::try_from(args.int(i + 1)?).ok().filter(|count| *count > 0);
                    2
                }
                () if args.is(i, "STREAMS") && left >= 1 => {
                    if left % 2 == 1 {
                        return Err(ErrorReply::UNBALANCED_STREAMS);
                    }
                    request.keys = &args.rest(i + 1)[..left / 2];
                    request.ids_at = i + 1 + left / 2;
                    break;
                }
                () if args.is(i, "GROUP") && left >= 2 => {
                    if !in_group {
                        return Err(ErrorReply::GROUP_OPTION);
                    }
                    request.group = Some((args.bytes(i + 1), args.bytes(i + 2)));
                    3
                }
                () if args.is(i, "NOACK") => {
                    if !in_group {
                        return Err(ErrorReply::NOACK_OPTION);
                    }
                    request.no_ack = true;
                    1
                }
                () => return Err(ErrorReply::SYNTAX),
            };
        }
        match request.group {
            _ if request.ids_at == 0 => Err(ErrorReply::SYNTAX),
            None if in_group => Err(ErrorReply::GROUP_MISSING),
            _ => Ok(request),
        }
    }
}

/// Streams with what was read of them, as both commands answer.
pub(super) fn reply(ctx: &Ctx<'_>, found: Vec<(Reply, Reply)>) -> Reply {
    match ctx.resp() {
        _ if found.is_empty() => Reply::NullArray,
        Resp::V2 => Reply::Array(
            found
                .into_iter()
                .map(|(key, entries)| Reply::Array(vec![key, entries]))
                .collect(),
        ),
        Resp::V3 => Reply::Map(found),
    }
}

/// How many entries a client is given that waited for them, unless told otherwise: it may have named an id far back.
pub(super) const COUNT_LATE: usize = 1_000;

fn xread(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let Request {
        count,
        block,
        keys,
        ids_at,
        ..
    } = Request::parse(ctx, args, false)?;
    let read_from = keys
        .iter()
        .enumerate()
        .map(|(i, key)| after(ctx, key, args, ids_at + i))
        .collect::<Result<Vec<_>, _>>()?;
    let mut found = Vec::new();
    for (key, after) in keys.iter().zip(&read_from) {
        let Some(start) = after.next() else { continue };
        let Some(stream) = ctx.read::<Stream>(key)? else {
            continue;
        };
        if stream.last_entry_id().is_some_and(|last| last > *after) {
            let entries = listing::entries(stream.range(start, StreamId::MAX), count);
            found.push((Reply::bulk(key), entries));
        }
    }
    match block {
        Some(timeout) if found.is_empty() => wait(ctx, keys, &read_from, timeout, count),
        _ => Ok(reply(ctx, found)),
    }
}

/// Waits for an entry after these ids. It counts that one came, even if it is gone again.
fn wait(
    ctx: &mut Ctx<'_>,
    keys: &[&[u8]],
    read_from: &[StreamId],
    timeout: Option<Duration>,
    count: Option<usize>,
) -> CommandResult {
    let places: Vec<(Key, StreamId)> = keys
        .iter()
        .zip(read_from)
        .map(|(key, after)| (Key::from(*key), *after))
        .collect();
    let count = count.unwrap_or(COUNT_LATE);
    let wanted = move |ctx: &mut Ctx<'_>, key: &[u8]| {
        let (_, after) = places.iter().find(|(known, _)| **known == *key)?;
        if !ctx.holds::<Stream>(key) {
            return None;
        }
        let stream = ctx.read::<Stream>(key).ok()??;
        let start = after.next().filter(|_| stream.last_id() > *after)?;
        let entries = listing::entries(stream.range(start, StreamId::MAX), Some(count));
        Some(Ok(reply(ctx, vec![(Reply::bulk(key), entries)])))
    };
    let waiting = Waiting::on(ctx, keys, timeout, Box::new(wanted));
    Ok(ctx.wait(waiting).unwrap_or(TIMED_OUT))
}

/// The id that argument `i` names, for the stream at `key`.
fn after(ctx: &mut Ctx<'_>, key: &[u8], args: &Args<'_>, i: usize) -> Result<StreamId, ErrorReply> {
    let last = ctx.read::<Stream>(key)?.map(Stream::last_id);
    match args.bytes(i) {
        b"$" => Ok(last.unwrap_or_default()),
        b">" => Err(ErrorReply::GROUP_ID),
        _ => ids::id(args, i),
    }
}
