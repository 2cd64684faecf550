//! `ZREM key member [member ...]`: removes members and says how many were there.
//!
//! Reference: <https://redis.io/commands/zrem/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    value::SortedSet,
};

pub(super) const ZREM: CommandSpec = CommandSpec {
    name: "ZREM",
    summary: "Removes one or more members from a sorted set",
    since: "1.2.0",
    complexity: "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be removed",
    group: Group::SortedSet,
    arity: Arity::at_least(3),
    flags: Flags::WRITE.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: zrem,
};

fn zrem(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let key = args.bytes(1);
    let removed = ctx
        .update(key, |set: &mut SortedSet| {
            args.rest(2).iter().filter(|member| set.remove(member)).count()
        })?
        .unwrap_or(0);
    if removed > 0 {
        ctx.modified(key, Class::SortedSet, "zrem");
    }
    Ok(Reply::count(removed))
}
