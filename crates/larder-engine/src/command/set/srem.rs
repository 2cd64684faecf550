//! `SREM key member [member ...]`: removes members and says how many were there.
//!
//! Reference: <https://redis.io/commands/srem/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    value::Set,
};

pub(super) const SREM: CommandSpec = CommandSpec {
    name: "SREM",
    summary: "Removes one or more members from a set",
    since: "1.0.0",
    complexity: "O(N) where N is the number of members to be removed",
    group: Group::Set,
    arity: Arity::at_least(3),
    flags: Flags::WRITE.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: srem,
};

fn srem(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let key = args.bytes(1);
    let removed = ctx
        .update(key, |set: &mut Set| {
            args.rest(2).iter().filter(|member| set.remove(member)).count()
        })?
        .unwrap_or(0);
    if removed > 0 {
        ctx.modified(key, Class::Set, "srem");
    }
    Ok(Reply::count(removed))
}
