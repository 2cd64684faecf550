//! `LSET key index element`: replaces the element at an index.
//!
//! Reference: <https://redis.io/commands/lset/>.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec, list::lindex::position},
    ctx::Ctx,
    notify::Class,
    value::List,
};

pub(super) const LSET: CommandSpec = CommandSpec {
    name: "LSET",
    summary: "Sets the value of an element in a list by its index",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::List,
    arity: Arity::exactly(4),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    keys: KeySpec::first(),
    subcommands: &[],
    run: lset,
};

fn lset(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let key = args.bytes(1);
    ctx.update(key, |list: &mut List| {
        let position = position(args.int(2)?, list.len()).ok_or(ErrorReply::OUT_OF_RANGE)?;
        list.set(position, args.bytes(3));
        Ok(())
    })?
    .ok_or(ErrorReply::NO_SUCH_KEY)??;
    ctx.modified(key, Class::List, "lset");
    Ok(Reply::Ok)
}
