//! `HMGET key field [field ...]`: the values of fields, null for each that is not there.
//!
//! Reference: <https://redis.io/commands/hmget/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    value::Hash,
};

pub(super) const HMGET: CommandSpec = CommandSpec {
    name: "HMGET",
    summary: "Returns the values of all given fields in a hash",
    since: "2.0.0",
    complexity: "O(N) where N is the number of fields",
    group: Group::Hash,
    arity: Arity::at_least(3),
    flags: Flags::READONLY.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: hmget,
};

fn hmget(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let hash = ctx.read::<Hash>(args.bytes(1))?;
    let value = |field: &&[u8]| Reply::bulk_or_null(hash.and_then(|hash| hash.get(field)));
    Ok(Reply::Array(args.rest(2).iter().map(value).collect()))
}
