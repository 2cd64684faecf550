//! `XRANGE key start end [COUNT n]`, `XREVRANGE key end start [COUNT n]`: entries between two ids.
//!
//! Reference: <https://redis.io/commands/xrange/>, <https://redis.io/commands/xrevrange/>.

use super::{ids, listing};
use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    value::Stream,
};

pub(super) const XRANGE: CommandSpec = CommandSpec {
    name: "XRANGE",
    summary: "Return a range of elements in a stream, with IDs matching the specified IDs interval",
    since: "5.0.0",
    complexity: "O(N) with N being the number of elements being returned",
    group: Group::Stream,
    arity: Arity::at_least(4),
    flags: Flags::READONLY,
    keys: KeySpec::first(),
    subcommands: &[],
    run: |ctx, args| range(ctx, args, false),
};

pub(super) const XREVRANGE: CommandSpec = CommandSpec {
    name: "XREVRANGE",
    summary: "Return a range of elements in a stream, with IDs matching the specified IDs interval, in reverse order (from greater to smaller IDs) compared to XRANGE",
    run: |ctx, args| range(ctx, args, true),
    ..XRANGE
};

fn range(ctx: &mut Ctx<'_>, args: &Args<'_>, is_reversed: bool) -> CommandResult {
    let (start_at, end_at) = if is_reversed { (3, 2) } else { (2, 3) };
    let (start, end) = (ids::start(args, start_at)?, ids::end(args, end_at)?);
    let count = count(args)?;
    let Some(stream) = ctx.read::<Stream>(args.bytes(1))? else {
        return Ok(Reply::Array(Vec::new()));
    };
    let found = stream.range(start, end);
    Ok(match count {
        Some(0) => Reply::NullArray,
        count if is_reversed => listing::entries(found.rev(), count),
        count => listing::entries(found, count),
    })
}

/// `COUNT n`, given any number of times; -1 stands for no limit, as before anything is given.
fn count(args: &Args<'_>) -> Result<Option<usize>, ErrorReply> {
    let mut count = None;
    for i in (4..args.len()).step_by(2) {
        if !args.is(i, "COUNT") || i + 1 == args.len() {
            return Err(ErrorReply::SYNTAX);
        }
        count = Some(usize::try_from(args.int(i + 1)?).unwrap_or(0));
    }
    Ok(count)
}
