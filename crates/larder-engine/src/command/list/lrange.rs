//! `LRANGE key start stop`: the elements from `start` to `stop`, both included, negative ones counted from the end.
//!
//! Reference: <https://redis.io/commands/lrange/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec, rank_range},
    ctx::Ctx,
    value::List,
};

pub(super) const LRANGE: CommandSpec = CommandSpec {
    name: "LRANGE",
    summary: "Returns a range of elements from a list",
    since: "1.0.0",
    complexity: "O(N) where N is the number of elements in the range",
    group: Group::List,
    arity: Arity::exactly(4),
    flags: Flags::READONLY,
    keys: KeySpec::first(),
    subcommands: &[],
    run: lrange,
};

fn lrange(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (start, stop) = (args.int(2)?, args.int(3)?);
    let list = ctx.read::<List>(args.bytes(1))?;
    Ok(Reply::bulks(
        list.into_iter()
            .flat_map(|list| list.range(rank_range(start, stop, list.len()))),
    ))
}
