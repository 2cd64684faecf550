//! `SADD key member [member ...]`: adds members and says how many are new.
//!
//! Reference: <https://redis.io/commands/sadd/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    value::Set,
};

pub(super) const SADD: CommandSpec = CommandSpec {
    name: "SADD",
    summary: "Adds one or more members to a set",
    since: "1.0.0",
    complexity: "O(N) where N is the number of members to be added",
    group: Group::Set,
    arity: Arity::at_least(3),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: sadd,
};

fn sadd(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let key = args.bytes(1);
    let added = ctx.upsert(key, |set: &mut Set| {
        args.rest(2).iter().filter(|member| set.add(member)).count()
    })?;
    if added > 0 {
        ctx.modified(key, Class::Set, "sadd");
    }
    Ok(Reply::count(added))
}
