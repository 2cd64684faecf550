//! `ZCARD key`: how many members.
//!
//! Reference: <https://redis.io/commands/zcard/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    value::SortedSet,
};

pub(super) const ZCARD: CommandSpec = CommandSpec {
    name: "ZCARD",
    summary: "Returns the number of members in a sorted set",
    since: "1.2.0",
    complexity: "O(1)",
    group: Group::SortedSet,
    arity: Arity::exactly(2),
    flags: Flags::READONLY.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: zcard,
};

fn zcard(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    Ok(Reply::count(
        ctx.read::<SortedSet>(args.bytes(1))?.map_or(0, SortedSet::len),
    ))
}
