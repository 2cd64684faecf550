//! `XREAD [COUNT n] STREAMS key [key ...] id [id ...]`: what came after these ids; `$` for the last id now.
//!
//! Reference: <https://redis.io/commands/xread/>. Commands that wait are not built yet: `BLOCK` is refused, once all else
//! that Redis would refuse has been.

use super::{ids, listing};
use crate::{
    ErrorReply, Reply, Resp,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    value::{Stream, StreamId},
};

pub(super) const XREAD: CommandSpec = CommandSpec {
    name: "XREAD",
    summary: "Return never seen elements in multiple streams, with IDs greater than the ones reported by the caller for each stream. Can block.",
    since: "5.0.0",
    complexity: "For each stream mentioned: O(N) with N being the number of elements being returned",
    group: Group::Stream,
    arity: Arity::at_least(4),
    flags: Flags::READONLY.and(Flags::BLOCKING).and(Flags::MOVABLEKEYS),
    keys: KeySpec::HalfAfter { keyword: "STREAMS" },
    subcommands: &[],
    run: xread,
};

/// What is asked for.
struct Request {
    /// All of them if none.
    count: Option<usize>,
    /// Whether it would wait for entries where there are none.
    blocks: bool,
    /// The number of the first key's argument.
    keys_at: usize,
    streams: usize,
}

impl Request {
    fn parse(args: &Args<'_>) -> Result<Self, ErrorReply> {
        let (mut count, mut blocks, mut i) = (None, false, 1);
        while i < args.len() {
            let left = args.len() - 1 - i;
            i += match () {
                () if args.is(i, "BLOCK") && left >= 1 => {
                    check_timeout(args, i + 1)?;
                    blocks = true;
                    2
                }
                () if args.is(i, "COUNT") && left >= 1 => {
                    count = usize::try_from(args.int(i + 1)?).ok().filter(|count| *count > 0);
                    2
                }
                () if args.is(i, "STREAMS") && left >= 1 => {
                    let streams = left / 2;
                    return match left % 2 {
                        0 => Ok(Self {
                            count,
                            blocks,
                            keys_at: i + 1,
                            streams,
                        }),
                        _ => Err(ErrorReply::UNBALANCED_STREAMS),
                    };
                }
                () if args.is(i, "GROUP") && left >= 2 => return Err(ErrorReply::GROUP_OPTION),
                () if args.is(i, "NOACK") => return Err(ErrorReply::NOACK_OPTION),
                () => return Err(ErrorReply::SYNTAX),
            };
        }
        Err(ErrorReply::SYNTAX)
    }
}

fn xread(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let Request {
        count,
        blocks,
        keys_at,
        streams,
    } = Request::parse(args)?;
    let keys = &args.rest(keys_at)[..streams];
    let read_from = (0..streams)
        .map(|i| after(ctx, keys[i], args, keys_at + streams + i))
        .collect::<Result<Vec<_>, _>>()?;
    if blocks {
        return Err(ErrorReply::NO_BLOCKING_READ);
    }
    let mut found = Vec::new();
    for (key, after) in keys.iter().zip(read_from) {
        let Some(start) = after.next() else { continue };
        let Some(stream) = ctx.read::<Stream>(key)? else {
            continue;
        };
        if stream.last_entry_id().is_some_and(|last| last > after) {
            let entries = listing::entries(stream.range(start, StreamId::MAX), count);
            found.push((Reply::bulk(key), entries));
        }
    }
    Ok(match ctx.resp() {
        _ if found.is_empty() => Reply::NullArray,
        Resp::V2 => Reply::Array(
            found
                .into_iter()
                .map(|(key, entries)| Reply::Array(vec![key, entries]))
                .collect(),
        ),
        Resp::V3 => Reply::Map(found),
    })
}

/// Refuses what is no number of milliseconds.
fn check_timeout(args: &Args<'_>, i: usize) -> Result<(), ErrorReply> {
    match args.int(i) {
        Err(_) => Err(ErrorReply::TIMEOUT_NOT_INTEGER),
        Ok(..0) => Err(ErrorReply::TIMEOUT_NEGATIVE),
        Ok(_) => Ok(()),
    }
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
