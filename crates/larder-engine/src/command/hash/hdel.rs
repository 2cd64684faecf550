//! `HDEL key field [field ...]`: removes fields and says how many were there.
//!
//! Reference: <https://redis.io/commands/hdel/>. The key goes with its last field.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    value::Hash,
};

pub(super) const HDEL: CommandSpec = CommandSpec {
    name: "HDEL",
    summary: "Deletes one or more fields and their values from a hash",
    since: "2.0.0",
    complexity: "O(N) where N is the number of fields to be removed",
    group: Group::Hash,
    arity: Arity::at_least(3),
    flags: Flags::WRITE.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: hdel,
};

fn hdel(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let key = args.bytes(1);
    let removed = ctx
        .update(key, |hash: &mut Hash| {
            args.rest(2).iter().filter(|field| hash.remove(field)).count()
        })?
        .unwrap_or(0);
    if removed > 0 {
        ctx.modified(key, Class::Hash, "hdel");
    }
    Ok(Reply::count(removed))
}
