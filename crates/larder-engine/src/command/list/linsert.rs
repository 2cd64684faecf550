//! `LINSERT key BEFORE|AFTER pivot element`: puts an element beside another; answers the length, -1 if the pivot
//! is not there, 0 if the key is not.
//!
//! Reference: <https://redis.io/commands/linsert/>.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    value::List,
};

pub(super) const LINSERT: CommandSpec = CommandSpec {
    name: "LINSERT",
    summary: "Inserts an element before or after another element in a list",
    since: "2.2.0",
    complexity: "O(N) where N is the length of the list",
    group: Group::List,
    arity: Arity::exactly(5),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    keys: KeySpec::first(),
    subcommands: &[],
    run: linsert,
};

fn linsert(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let offset = match () {
        () if args.is(2, "BEFORE") => 0,
        () if args.is(2, "AFTER") => 1,
        () => return Err(ErrorReply::SYNTAX),
    };
    let (key, pivot, element) = (args.bytes(1), args.bytes(3), args.bytes(4));
    let inserted = ctx.update(key, |list: &mut List| {
        let position = list.iter().position(|other| other == pivot)?;
        list.insert(position + offset, element);
        Some(list.len())
    })?;
    let Some(inserted) = inserted else {
        return Ok(Reply::Int(0));
    };
    if inserted.is_some() {
        ctx.modified(key, Class::List, "linsert");
    }
    Ok(inserted.map_or(Reply::Int(-1), Reply::count))
}
