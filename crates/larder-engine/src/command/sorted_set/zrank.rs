//! `ZRANK`, `ZREVRANK key member`: how many members come before, in ascending or descending order; null if it is not
//! there.
//!
//! Reference: <https://redis.io/commands/zrank/>, <https://redis.io/commands/zrevrank/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    value::SortedSet,
};

pub(super) const ZRANK: CommandSpec = CommandSpec {
    name: "ZRANK",
    summary: "Returns the index of a member in a sorted set ordered by ascending scores",
    since: "2.0.0",
    complexity: "O(log(N))",
    group: Group::SortedSet,
    arity: Arity::exactly(3),
    flags: Flags::READONLY.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: |ctx, args| rank(ctx, args, |rank, _| rank),
};

pub(super) const ZREVRANK: CommandSpec = CommandSpec {
    name: "ZREVRANK",
    summary: "Returns the index of a member in a sorted set ordered by descending scores",
    run: |ctx, args| rank(ctx, args, |rank, len| len - 1 - rank),
    ..ZRANK
};

fn rank(ctx: &mut Ctx<'_>, args: &Args<'_>, count: fn(usize, usize) -> usize) -> CommandResult {
    let set = ctx.read::<SortedSet>(args.bytes(1))?;
    let rank = set.and_then(|set| Some(count(set.rank(args.bytes(2))?, set.len())));
    Ok(rank.map_or(Reply::Null, Reply::count))
}
