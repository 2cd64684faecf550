//! `DEL key [key ...]`, `UNLINK key [key ...]`: removes keys and says how many were there.
//!
//! Reference: <https://redis.io/commands/del/>, <https://redis.io/commands/unlink/>. Freeing memory is cheap
//! enough here that both are one.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
};

pub(super) const DEL: CommandSpec = CommandSpec {
    name: "DEL",
    summary: "Deletes one or more keys",
    since: "1.0.0",
    complexity: "O(N) where N is the number of keys that will be removed",
    group: Group::Generic,
    arity: Arity::at_least(2),
    flags: Flags::WRITE,
    keys: KeySpec::all(),
    subcommands: &[],
    run: del,
};

pub(super) const UNLINK: CommandSpec = CommandSpec {
    name: "UNLINK",
    summary: "Deletes one or more keys without blocking",
    since: "4.0.0",
    flags: Flags::WRITE.and(Flags::FAST),
    ..DEL
};

fn del(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let mut removed = 0;
    for key in args.rest(1) {
        if ctx.remove(key).is_some() {
            removed += 1;
            ctx.modified(key, Class::Generic, "del");
        }
    }
    Ok(Reply::Int(removed))
}
