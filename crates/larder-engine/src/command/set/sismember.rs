//! `SISMEMBER key member`: whether it is a member. `SMISMEMBER key member [member ...]`: the same of each.
//!
//! Reference: <https://redis.io/commands/sismember/>, <https://redis.io/commands/smismember/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    value::Set,
};

pub(super) const SISMEMBER: CommandSpec = CommandSpec {
    name: "SISMEMBER",
    summary: "Determines whether a member belongs to a set",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Set,
    arity: Arity::exactly(3),
    flags: Flags::READONLY.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: sismember,
};

pub(super) const SMISMEMBER: CommandSpec = CommandSpec {
    name: "SMISMEMBER",
    summary: "Determines whether multiple members belong to a set",
    since: "6.2.0",
    complexity: "O(N) where N is the number of members being checked",
    arity: Arity::at_least(3),
    run: smismember,
    ..SISMEMBER
};

fn sismember(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let set = ctx.read::<Set>(args.bytes(1))?;
    Ok(set.is_some_and(|set| set.contains(args.bytes(2))).into())
}

fn smismember(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let set = ctx.read::<Set>(args.bytes(1))?;
    let is_member = |member: &&[u8]| set.is_some_and(|set| set.contains(member)).into();
    Ok(Reply::Array(args.rest(2).iter().map(is_member).collect()))
}
