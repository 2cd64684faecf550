//! `XACK key group id [id ...]`: these entries need not be given again; answers how many were pending.
//!
//! Reference: <https://redis.io/commands/xack/>.

use super::{ids, xadd::XADD};
use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags},
    ctx::Ctx,
    notify::Class,
    value::Stream,
};

pub(super) const XACK: CommandSpec = CommandSpec {
    name: "XACK",
    summary: "Marks a pending message as correctly processed, effectively removing it from the pending entries list of the consumer group",
    complexity: "O(1) for each message ID processed",
    arity: Arity::at_least(4),
    flags: Flags::WRITE.and(Flags::FAST),
    run: xack,
    ..XADD
};

fn xack(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (key, group) = (args.bytes(1), args.bytes(2));
    if ctx
        .read::<Stream>(key)?
        .is_none_or(|stream| stream.group(group).is_none())
    {
        return Ok(Reply::Int(0));
    }
    let ids = (3..args.len())
        .map(|i| ids::id(args, i))
        .collect::<Result<Vec<_>, _>>()?;
    let settled = ctx.update(key, |stream: &mut Stream| {
        stream.change_group(group, |group, _| ids.iter().filter(|id| group.settle(**id)).count())
    })?;
    let settled = settled.flatten().unwrap_or(0);
    if settled > 0 {
        ctx.modified_beside(key, Class::Stream, None);
    }
    Ok(Reply::count(settled))
}
