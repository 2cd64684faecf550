//! `LREM key count element`: removes the first `count` elements equal to this one, the last if negative, all if 0.
//!
//! Reference: <https://redis.io/commands/lrem/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    value::List,
};

pub(super) const LREM: CommandSpec = CommandSpec {
    name: "LREM",
    summary: "Removes elements from a list",
    since: "1.0.0",
    complexity: "O(N) where N is the length of the list",
    group: Group::List,
    arity: Arity::exactly(4),
    flags: Flags::WRITE,
    keys: KeySpec::first(),
    subcommands: &[],
    run: lrem,
};

fn lrem(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let count = args.int(2)?;
    let key = args.bytes(1);
    let removed = ctx
        .update(key, |list: &mut List| list.remove(args.bytes(3), count))?
        .unwrap_or(0);
    if removed > 0 {
        ctx.modified(key, Class::List, "lrem");
    }
    Ok(Reply::count(removed))
}
