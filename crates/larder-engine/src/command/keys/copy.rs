//! `COPY source destination [DB n] [REPLACE]` and `MOVE key db`: a key into another name or database.
//!
//! Reference: <https://redis.io/commands/copy/>, <https://redis.io/commands/move/>. The deadline goes along.

use crate::{
    ErrorReply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
};

pub(super) const COPY: CommandSpec = CommandSpec {
    name: "COPY",
    summary: "Copies the value of a key to a new key",
    since: "6.2.0",
    complexity: "O(N) worst case for collections, where N is the number of nested items; O(1) for string values",
    group: Group::Generic,
    arity: Arity::at_least(3),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    keys: KeySpec::Range {
        first: 1,
        last: 2,
        step: 1,
    },
    subcommands: &[],
    run: copy,
};

pub(super) const MOVE: CommandSpec = CommandSpec {
    name: "MOVE",
    summary: "Moves a key to another database",
    since: "1.0.0",
    complexity: "O(1)",
    arity: Arity::exactly(3),
    flags: Flags::WRITE.and(Flags::FAST),
    keys: KeySpec::first(),
    run: move_,
    ..COPY
};

fn copy(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (from, to, home) = (args.bytes(1), args.bytes(2), ctx.db);
    let (mut target, mut replace) = (home, false);
    let mut i = 3;
    while i < args.len() {
        if args.is(i, "REPLACE") {
            replace = true;
            i += 1;
        } else if args.is(i, "DB") && i + 1 < args.len() {
            target = ctx.database(args, i + 1)?;
            i += 2;
        } else {
            return Err(ErrorReply::SYNTAX);
        }
    }
    if target == home && from == to {
        return Err(ErrorReply::SAME_OBJECT);
    }
    let Some((value, expires_at)) = ctx.entry(from).map(|entry| (entry.value.clone(), entry.expires_at)) else {
        return Ok(false.into());
    };
    ctx.db = target;
    let free = replace || !ctx.exists(to);
    if free {
        ctx.put(to, value, expires_at);
        ctx.modified(to, Class::Generic, "copy_to");
    }
    ctx.db = home;
    Ok(free.into())
}

fn move_(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (key, home) = (args.bytes(1), ctx.db);
    let target = ctx.database(args, 2)?;
    if target == home {
        return Err(ErrorReply::SAME_OBJECT);
    }
    if !ctx.exists(key) {
        return Ok(false.into());
    }
    ctx.db = target;
    let free = !ctx.exists(key);
    ctx.db = home;
    if let Some(entry) = free.then(|| ctx.remove(key)).flatten() {
        ctx.modified(key, Class::Generic, "move_from");
        ctx.db = target;
        ctx.put(key, entry.value, entry.expires_at);
        ctx.modified(key, Class::Generic, "move_to");
        ctx.db = home;
    }
    Ok(free.into())
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn a_copy_stands_by_itself() {
        Shell::new().check(
            r#"
            SET a 1 PX 1000 => OK
            COPY a b => (int) 1
            PTTL b => (int) 1000
            APPEND b 2 => (int) 2
            GET a => "1"
            COPY a b => (int) 0
            COPY a b REPLACE => (int) 1
            GET b => "1"
            COPY a a => ERR source and destination objects are the same
            COPY a a DB 1 => (int) 1
            COPY a c DB 99 => ERR DB index is out of range
            COPY a c DB => ERR syntax error
            COPY none c => (int) 0
            SELECT 1 => OK
            KEYS * => ["a"]
            "#,
        );
    }

    #[test]
    fn a_moved_key_leaves_its_database() {
        Shell::new().check(
            r#"
            SET a 1 => OK
            MOVE a 0 => ERR source and destination objects are the same
            MOVE a 16 => ERR DB index is out of range
            MOVE a x => ERR value is not an integer or out of range
            MOVE a 1 => (int) 1
            MOVE a 1 => (int) 0
            SET a 2 => OK
            MOVE a 1 => (int) 0
            SELECT 1 => OK
            GET a => "1"
            "#,
        );
    }
}
