//! `HLEN key`: how many fields.
//!
//! Reference: <https://redis.io/commands/hlen/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    value::Hash,
};

pub(super) const HLEN: CommandSpec = CommandSpec {
    name: "HLEN",
    summary: "Returns the number of fields in a hash",
    since: "2.0.0",
    complexity: "O(1)",
    group: Group::Hash,
    arity: Arity::exactly(2),
    flags: Flags::READONLY.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: hlen,
};

fn hlen(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    Ok(Reply::count(ctx.read::<Hash>(args.bytes(1))?.map_or(0, Hash::len)))
}
