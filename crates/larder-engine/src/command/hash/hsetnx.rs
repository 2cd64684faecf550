//! `HSETNX key field value`: sets a field unless it is there; 1 if it was set.
//!
//! Reference: <https://redis.io/commands/hsetnx/>.

use crate::{
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    value::Hash,
};

pub(super) const HSETNX: CommandSpec = CommandSpec {
    name: "HSETNX",
    summary: "Sets the value of a field in a hash only when the field doesn't exist",
    since: "2.0.0",
    complexity: "O(1)",
    group: Group::Hash,
    arity: Arity::exactly(4),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: hsetnx,
};

fn hsetnx(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (key, field) = (args.bytes(1), args.bytes(2));
    let is_new = ctx.upsert(key, |hash: &mut Hash| {
        hash.get(field).is_none() && hash.set(field, args.bytes(3))
    })?;
    if is_new {
        ctx.modified(key, Class::Hash, "hset");
    }
    Ok(is_new.into())
}
