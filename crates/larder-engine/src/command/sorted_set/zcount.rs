//! `ZCOUNT key min max`: how many scores lie in a range. `ZLEXCOUNT key min max`: how many members do.
//!
//! Reference: <https://redis.io/commands/zcount/>, <https://redis.io/commands/zlexcount/>.

use crate::{
    Reply,
    command::{
        Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec,
        sorted_set::bounds::{LexBounds, ScoreBounds},
    },
    ctx::Ctx,
    value::SortedSet,
};

pub(super) const ZCOUNT: CommandSpec = CommandSpec {
    name: "ZCOUNT",
    summary: "Returns the count of members in a sorted set that have scores within a range",
    since: "2.0.0",
    complexity: "O(log(N)) with N being the number of elements in the sorted set",
    group: Group::SortedSet,
    arity: Arity::exactly(4),
    flags: Flags::READONLY.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: zcount,
};

pub(super) const ZLEXCOUNT: CommandSpec = CommandSpec {
    name: "ZLEXCOUNT",
    summary: "Returns the number of members in a sorted set within a lexicographical range",
    since: "2.8.9",
    run: zlexcount,
    ..ZCOUNT
};

fn zcount(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let bounds = ScoreBounds::parse(args.bytes(2), args.bytes(3))?;
    let set = ctx.read::<SortedSet>(args.bytes(1))?;
    Ok(Reply::count(set.map_or(0, |set| bounds.ranks(set.order()).len())))
}

fn zlexcount(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let bounds = LexBounds::parse(args.bytes(2), args.bytes(3))?;
    let set = ctx.read::<SortedSet>(args.bytes(1))?;
    Ok(Reply::count(set.map_or(0, |set| bounds.ranks(set.order()).len())))
}
