//! `ZRANDMEMBER key [count [WITHSCORES]]`: a random member; up to `count` different ones; or exactly `-count` with
//! repetition when it is negative.
//!
//! Reference: <https://redis.io/commands/zrandmember/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec, random, sorted_set::listing::listing},
    ctx::Ctx,
    value::SortedSet,
};

pub(super) const ZRANDMEMBER: CommandSpec = CommandSpec {
    name: "ZRANDMEMBER",
    summary: "Returns one or more random members from a sorted set",
    since: "6.2.0",
    complexity: "O(N) where N is the number of members returned",
    group: Group::SortedSet,
    arity: Arity::at_least(2),
    flags: Flags::READONLY,
    keys: KeySpec::first(),
    subcommands: &[],
    run: zrandmember,
};

fn zrandmember(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let pick = random::Pick::parse(args, "WITHSCORES")?;
    let (random, resp) = (ctx.core.random.clone(), ctx.resp());
    let set = ctx.read::<SortedSet>(args.bytes(1))?;
    let Some(pick) = pick else {
        let member = set.map(|set| set.at(random.below(set.len() as u64) as usize).0);
        return Ok(Reply::bulk_or_null(member));
    };
    let picked = set.into_iter().flat_map(|set| {
        let positions = pick.positions(&random, set.len());
        positions.into_iter().map(|position| set.at(position))
    });
    Ok(listing(picked, pick.with_values, resp))
}
