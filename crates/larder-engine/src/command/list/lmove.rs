//! `LMOVE source destination LEFT|RIGHT LEFT|RIGHT`: takes an element from one end of a list, puts it at one end of
//! another (or the same), and answers it. `RPOPLPUSH`, its elder, moves from the right to the left.
//!
//! Reference: <https://redis.io/commands/lmove/>, <https://redis.io/commands/rpoplpush/>.

use crate::{
    ErrorReply, Reply,
    command::{
        Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec,
        list::{pop::pop_event, push::push_event},
    },
    ctx::Ctx,
    notify::Class,
    value::{End, List},
};

pub(super) const LMOVE: CommandSpec = CommandSpec {
    name: "LMOVE",
    summary: "Returns an element after popping it from one list and pushing it to another",
    since: "6.2.0",
    complexity: "O(1)",
    group: Group::List,
    arity: Arity::exactly(5),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    keys: KeySpec::Range {
        first: 1,
        last: 2,
        step: 1,
    },
    subcommands: &[],
    run: lmove,
};

pub(super) const RPOPLPUSH: CommandSpec = CommandSpec {
    name: "RPOPLPUSH",
    summary: "Returns the last element of a list after removing and pushing it to another list",
    since: "1.2.0",
    arity: Arity::exactly(3),
    run: |ctx, args| shift(ctx, args.bytes(1), args.bytes(2), End::Right, End::Left),
    ..LMOVE
};

fn lmove(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    shift(ctx, args.bytes(1), args.bytes(2), end(args, 3)?, end(args, 4)?)
}

/// Moves an element; null if there is none.
pub(super) fn shift(ctx: &mut Ctx<'_>, source: &[u8], destination: &[u8], from: End, to: End) -> CommandResult {
    if ctx.read::<List>(source)?.is_none() {
        return Ok(Reply::Null);
    }
    ctx.read::<List>(destination)?;
    let element = ctx
        .update(source, |list: &mut List| list.pop(from))?
        .flatten()
        .expect("the list was just read, and no list is empty");
    ctx.upsert(destination, |list: &mut List| list.push(to, &element))?;
    ctx.modified(destination, Class::List, push_event(to));
    ctx.modified(source, Class::List, pop_event(from));
    Ok(Reply::bulk(element))
}

/// Argument `i` as the end of a list.
pub(super) fn end(args: &Args<'_>, i: usize) -> Result<End, ErrorReply> {
    match () {
        () if args.is(i, "LEFT") => Ok(End::Left),
        () if args.is(i, "RIGHT") => Ok(End::Right),
        () => Err(ErrorReply::SYNTAX),
    }
}
