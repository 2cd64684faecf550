//! `LPOP`, `RPOP key [count]`: takes the element at one end, or up to `count` as an array.
//!
//! Reference: <https://redis.io/commands/lpop/>, <https://redis.io/commands/rpop/>.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    value::{Bytes, End, List},
};

pub(super) const LPOP: CommandSpec = CommandSpec {
    name: "LPOP",
    summary: "Returns and removes the first elements of a list",
    since: "1.0.0",
    complexity: "O(N) where N is the number of elements returned",
    group: Group::List,
    arity: Arity::at_least(2),
    flags: Flags::WRITE.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: |ctx, args| pop(ctx, args, End::Left),
};

pub(super) const RPOP: CommandSpec = CommandSpec {
    name: "RPOP",
    summary: "Returns and removes the last elements of a list",
    run: |ctx, args| pop(ctx, args, End::Right),
    ..LPOP
};

fn pop(ctx: &mut Ctx<'_>, args: &Args<'_>, end: End) -> CommandResult {
    let key = args.bytes(1);
    match args.len() {
        2 => {
            let taken = take(ctx, key, end, 1)?.unwrap_or_default();
            Ok(Reply::bulk_or_null(taken.first()))
        }
        3 => {
            let count = args.at_least(2, 0, ErrorReply::COUNT_NOT_POSITIVE)?;
            Ok(take(ctx, key, end, count)?.map_or(Reply::NullArray, Reply::bulks))
        }
        _ => Err(ErrorReply::wrong_arity(match end {
            End::Left => "lpop",
            End::Right => "rpop",
        })),
    }
}

/// Takes up to `count` elements from one end; `None` if there is no list.
pub(super) fn take(ctx: &mut Ctx<'_>, key: &[u8], end: End, count: usize) -> Result<Option<Vec<Bytes>>, ErrorReply> {
    let taken = ctx.update(key, |list: &mut List| list.pop_many(end, count))?;
    if taken.as_ref().is_some_and(|taken| !taken.is_empty()) {
        ctx.modified(key, Class::List, pop_event(end));
    }
    Ok(taken)
}

/// A command that may wait took from a list: the log has it as one that does not.
pub(super) fn tell(ctx: &mut Ctx<'_>, key: &[u8], end: End, count: Option<usize>) {
    let name: &[u8] = match end {
        End::Left => b"LPOP",
        End::Right => b"RPOP",
    };
    match count {
        None => ctx.tell(&[name, key]),
        Some(count) => ctx.tell(&[name, key, itoa::Buffer::new().format(count).as_bytes()]),
    }
}

/// The keyspace event of taking from this end.
pub(super) const fn pop_event(end: End) -> &'static str {
    match end {
        End::Left => "lpop",
        End::Right => "rpop",
    }
}
