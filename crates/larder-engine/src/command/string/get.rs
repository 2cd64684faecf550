//! `GET key`: the string at `key`, or null.
//!
//! Reference: <https://redis.io/commands/get/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    value::Text,
};

pub(super) const GET: CommandSpec = CommandSpec {
    name: "GET",
    summary: "Returns the string value of a key",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::String,
    arity: Arity::exactly(2),
    flags: Flags::READONLY.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: get,
};

fn get(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    Ok(Reply::bulk_or_null(ctx.read::<Text>(args.bytes(1))?.map(Text::bytes)))
}
