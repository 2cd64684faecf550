//! `SCARD key`: how many members.
//!
//! Reference: <https://redis.io/commands/scard/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    value::Set,
};

pub(super) const SCARD: CommandSpec = CommandSpec {
    name: "SCARD",
    summary: "Returns the number of members in a set",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Set,
    arity: Arity::exactly(2),
    flags: Flags::READONLY.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: scard,
};

fn scard(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    Ok(Reply::count(ctx.read::<Set>(args.bytes(1))?.map_or(0, Set::len)))
}
