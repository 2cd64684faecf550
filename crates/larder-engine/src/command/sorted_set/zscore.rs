//! `ZSCORE key member`: a member's score, or null. `ZMSCORE key member [member ...]`: the scores of several.
//!
//! Reference: <https://redis.io/commands/zscore/>, <https://redis.io/commands/zmscore/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    value::SortedSet,
};

pub(super) const ZSCORE: CommandSpec = CommandSpec {
    name: "ZSCORE",
    summary: "Returns the score of a member in a sorted set",
    since: "1.2.0",
    complexity: "O(1)",
    group: Group::SortedSet,
    arity: Arity::exactly(3),
    flags: Flags::READONLY.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: zscore,
};

pub(super) const ZMSCORE: CommandSpec = CommandSpec {
    name: "ZMSCORE",
    summary: "Returns the score of one or more members in a sorted set",
    since: "6.2.0",
    complexity: "O(N) where N is the number of members being requested",
    arity: Arity::at_least(3),
    run: zmscore,
    ..ZSCORE
};

fn zscore(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let set = ctx.read::<SortedSet>(args.bytes(1))?;
    Ok(score(set, args.bytes(2)))
}

fn zmscore(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let set = ctx.read::<SortedSet>(args.bytes(1))?;
    Ok(Reply::Array(
        args.rest(2).iter().map(|member| score(set, member)).collect(),
    ))
}

fn score(set: Option<&SortedSet>, member: &[u8]) -> Reply {
    set.and_then(|set| set.score(member)).map_or(Reply::Null, Reply::Double)
}
