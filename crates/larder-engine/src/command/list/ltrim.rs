//! `LTRIM key start stop`: keeps the elements from `start` to `stop` alone.
//!
//! Reference: <https://redis.io/commands/ltrim/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec, rank_range},
    ctx::Ctx,
    notify::Class,
    value::List,
};

pub(super) const LTRIM: CommandSpec = CommandSpec {
    name: "LTRIM",
    summary: "Removes elements from both ends a list",
    since: "1.0.0",
    complexity: "O(N) where N is the length of the list",
    group: Group::List,
    arity: Arity::exactly(4),
    flags: Flags::WRITE,
    keys: KeySpec::first(),
    subcommands: &[],
    run: ltrim,
};

fn ltrim(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (start, stop) = (args.int(2)?, args.int(3)?);
    let key = args.bytes(1);
    let trimmed = ctx.update(key, |list: &mut List| list.keep(rank_range(start, stop, list.len())))?;
    if trimmed.is_some() {
        ctx.modified(key, Class::List, "ltrim");
    }
    Ok(Reply::Ok)
}
