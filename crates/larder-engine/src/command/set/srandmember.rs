//! `SRANDMEMBER key [count]`: a random member; up to `count` different ones; or exactly `-count` with repetition when
//! it is negative.
//!
//! Reference: <https://redis.io/commands/srandmember/>.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec, random},
    ctx::Ctx,
    value::Set,
};

pub(super) const SRANDMEMBER: CommandSpec = CommandSpec {
    name: "SRANDMEMBER",
    summary: "Returns one or more random members from a set",
    since: "1.0.0",
    complexity: "O(N) where N is the number of members returned",
    group: Group::Set,
    arity: Arity::at_least(2),
    flags: Flags::READONLY,
    keys: KeySpec::first(),
    subcommands: &[],
    run: srandmember,
};

fn srandmember(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    if args.len() > 3 {
        return Err(ErrorReply::SYNTAX);
    }
    let pick = random::Pick::parse(args, "")?;
    let random = ctx.core.random.clone();
    let set = ctx.read::<Set>(args.bytes(1))?;
    let Some(pick) = pick else {
        let member = set.map(|set| set.at(random.below(set.len() as u64) as usize));
        return Ok(Reply::bulk_or_null(member));
    };
    Ok(Reply::bulks(set.into_iter().flat_map(|set| {
        let positions = pick.positions(&random, set.len());
        positions.into_iter().map(|position| set.at(position))
    })))
}
