//! `LINDEX key index`: the element at an index, counted from the end if negative; null if there is none.
//!
//! Reference: <https://redis.io/commands/lindex/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    value::List,
};

pub(super) const LINDEX: CommandSpec = CommandSpec {
    name: "LINDEX",
    summary: "Returns an element from a list by its index",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::List,
    arity: Arity::exactly(3),
    flags: Flags::READONLY,
    keys: KeySpec::first(),
    subcommands: &[],
    run: lindex,
};

fn lindex(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    // A missing key is null whatever the index: Redis looks the key up first.
    let Some(list) = ctx.read::<List>(args.bytes(1))? else {
        return Ok(Reply::Null);
    };
    let element = position(args.int(2)?, list.len()).and_then(|position| list.get(position));
    Ok(Reply::bulk_or_null(element))
}

/// The position that an index means in a list of this length, if there is one.
pub(super) fn position(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 { index + len as i64 } else { index };
    usize::try_from(index).ok().filter(|&position| position < len)
}
