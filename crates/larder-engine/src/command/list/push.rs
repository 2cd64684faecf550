//! `LPUSH`, `RPUSH key element [element ...]`: adds elements at one end, one after another, and answers the length.
//! `LPUSHX`, `RPUSHX`: only if there is a list already.
//!
//! Reference: <https://redis.io/commands/lpush/>, <https://redis.io/commands/rpush/>,
//! <https://redis.io/commands/lpushx/>, <https://redis.io/commands/rpushx/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    value::{End, List},
};

pub(super) const LPUSH: CommandSpec = CommandSpec {
    name: "LPUSH",
    summary: "Prepends one or more elements to a list",
    since: "1.0.0",
    complexity: "O(N) where N is the number of elements added",
    group: Group::List,
    arity: Arity::at_least(3),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: |ctx, args| push(ctx, args, End::Left),
};

pub(super) const RPUSH: CommandSpec = CommandSpec {
    name: "RPUSH",
    summary: "Appends one or more elements to a list",
    run: |ctx, args| push(ctx, args, End::Right),
    ..LPUSH
};

pub(super) const LPUSHX: CommandSpec = CommandSpec {
    name: "LPUSHX",
    summary: "Prepends one or more elements to a list only when the list exists",
    since: "2.2.0",
    run: |ctx, args| push_if_exists(ctx, args, End::Left),
    ..LPUSH
};

pub(super) const RPUSHX: CommandSpec = CommandSpec {
    name: "RPUSHX",
    summary: "Appends one or more elements to a list only when the list exists",
    run: |ctx, args| push_if_exists(ctx, args, End::Right),
    ..LPUSHX
};

fn push_if_exists(ctx: &mut Ctx<'_>, args: &Args<'_>, end: End) -> CommandResult {
    if ctx.exists(args.bytes(1)) {
        push(ctx, args, end)
    } else {
        Ok(Reply::Int(0))
    }
}

fn push(ctx: &mut Ctx<'_>, args: &Args<'_>, end: End) -> CommandResult {
    let key = args.bytes(1);
    let len = ctx.upsert(key, |list: &mut List| {
        args.rest(2).iter().for_each(|element| list.push(end, element));
        list.len()
    })?;
    ctx.modified(key, Class::List, push_event(end));
    Ok(Reply::count(len))
}

/// The keyspace event of adding at this end.
pub(super) const fn push_event(end: End) -> &'static str {
    match end {
        End::Left => "lpush",
        End::Right => "rpush",
    }
}
