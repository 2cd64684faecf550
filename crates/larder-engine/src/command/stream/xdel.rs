//! `XDEL key id [id ...]`: removes entries by their ids.
//!
//! Reference: <https://redis.io/commands/xdel/>.

use super::ids;
use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    value::Stream,
};

pub(super) const XDEL: CommandSpec = CommandSpec {
    name: "XDEL",
    summary: "Removes the specified entries from the stream. Returns the number of items actually deleted, that may be different from the number of IDs passed in case certain IDs do not exist.",
    since: "5.0.0",
    complexity: "O(1) for each single item to delete in the stream, regardless of the stream size",
    group: Group::Stream,
    arity: Arity::at_least(3),
    flags: Flags::WRITE.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: xdel,
};

fn xdel(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let key = args.bytes(1);
    let removed = ctx.update(key, |stream: &mut Stream| {
        let ids = (2..args.len())
            .map(|i| ids::id(args, i))
            .collect::<Result<Vec<_>, _>>()?;
        Ok::<_, ErrorReply>(stream.remove(&ids))
    })?;
    let removed = removed.unwrap_or(Ok(0))?;
    if removed > 0 {
        ctx.modified(key, Class::Stream, "xdel");
    }
    Ok(Reply::count(removed))
}
