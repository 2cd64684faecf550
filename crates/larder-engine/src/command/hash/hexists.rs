//! `HEXISTS key field`: whether the field is there.
//!
//! Reference: <https://redis.io/commands/hexists/>.

use crate::{
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    value::Hash,
};

pub(super) const HEXISTS: CommandSpec = CommandSpec {
    name: "HEXISTS",
    summary: "Determines whether a field exists in a hash",
    since: "2.0.0",
    complexity: "O(1)",
    group: Group::Hash,
    arity: Arity::exactly(3),
    flags: Flags::READONLY.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: hexists,
};

fn hexists(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let hash = ctx.read::<Hash>(args.bytes(1))?;
    Ok(hash.is_some_and(|hash| hash.get(args.bytes(2)).is_some()).into())
}
