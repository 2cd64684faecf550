//! `HGET key field`: the value of a field, or null.
//!
//! Reference: <https://redis.io/commands/hget/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    value::Hash,
};

pub(super) const HGET: CommandSpec = CommandSpec {
    name: "HGET",
    summary: "Returns the value of a field in a hash",
    since: "2.0.0",
    complexity: "O(1)",
    group: Group::Hash,
    arity: Arity::exactly(3),
    flags: Flags::READONLY.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: hget,
};

fn hget(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let hash = ctx.read::<Hash>(args.bytes(1))?;
    Ok(Reply::bulk_or_null(hash.and_then(|hash| hash.get(args.bytes(2)))))
}
