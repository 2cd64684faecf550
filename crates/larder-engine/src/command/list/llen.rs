//! `LLEN key`: how many elements.
//!
//! Reference: <https://redis.io/commands/llen/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    value::List,
};

pub(super) const LLEN: CommandSpec = CommandSpec {
    name: "LLEN",
    summary: "Returns the length of a list",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::List,
    arity: Arity::exactly(2),
    flags: Flags::READONLY.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: llen,
};

fn llen(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    Ok(Reply::count(ctx.read::<List>(args.bytes(1))?.map_or(0, List::len)))
}
