//! `SMOVE source destination member`: takes a member from one set and adds it to another; 1 if it was there.
//!
//! Reference: <https://redis.io/commands/smove/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    value::Set,
};

pub(super) const SMOVE: CommandSpec = CommandSpec {
    name: "SMOVE",
    summary: "Moves a member from one set to another",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Set,
    arity: Arity::exactly(4),
    flags: Flags::WRITE.and(Flags::FAST),
    keys: KeySpec::Range {
        first: 1,
        last: 2,
        step: 1,
    },
    subcommands: &[],
    run: smove,
};

fn smove(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (source, destination, member) = (args.bytes(1), args.bytes(2), args.bytes(3));
    let Some(set) = ctx.read::<Set>(source)? else {
        return Ok(Reply::Int(0));
    };
    let is_member = set.contains(member);
    ctx.read::<Set>(destination)?;
    if !is_member || source == destination {
        return Ok(is_member.into());
    }
    ctx.update(source, |set: &mut Set| set.remove(member))?;
    ctx.modified(source, Class::Set, "srem");
    if ctx.upsert(destination, |set: &mut Set| set.add(member))? {
        ctx.modified(destination, Class::Set, "sadd");
    }
    Ok(Reply::Int(1))
}
