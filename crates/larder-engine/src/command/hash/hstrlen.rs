//! `HSTRLEN key field`: how long a field's value is; 0 if it is not there.
//!
//! Reference: <https://redis.io/commands/hstrlen/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    value::Hash,
};

pub(super) const HSTRLEN: CommandSpec = CommandSpec {
    name: "HSTRLEN",
    summary: "Returns the length of the value of a field",
    since: "3.2.0",
    complexity: "O(1)",
    group: Group::Hash,
    arity: Arity::exactly(3),
    flags: Flags::READONLY.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: hstrlen,
};

fn hstrlen(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let hash = ctx.read::<Hash>(args.bytes(1))?;
    let value = hash.and_then(|hash| hash.get(args.bytes(2)));
    Ok(Reply::count(value.map_or(0, <[u8]>::len)))
}
