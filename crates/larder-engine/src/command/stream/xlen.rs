//! `XLEN key`: how many entries.
//!
//! Reference: <https://redis.io/commands/xlen/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    value::Stream,
};

pub(super) const XLEN: CommandSpec = CommandSpec {
    name: "XLEN",
    summary: "Return the number of entries in a stream",
    since: "5.0.0",
    complexity: "O(1)",
    group: Group::Stream,
    arity: Arity::exactly(2),
    flags: Flags::READONLY.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: xlen,
};

fn xlen(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    Ok(Reply::count(ctx.read::<Stream>(args.bytes(1))?.map_or(0, Stream::len)))
}
