//! `FLUSHDB`, `FLUSHALL [ASYNC | SYNC]`, `SWAPDB a b`: whole databases emptied or exchanged.
//!
//! Reference: <https://redis.io/commands/flushall/>, <https://redis.io/commands/swapdb/>.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec, parse_int},
    ctx::Ctx,
};

pub(super) const FLUSHDB: CommandSpec = CommandSpec {
    name: "FLUSHDB",
    summary: "Removes all keys from the current database",
    since: "1.0.0",
    complexity: "O(N) where N is the number of keys in the selected database",
    group: Group::Server,
    arity: Arity::at_least(1),
    flags: Flags::WRITE,
    keys: KeySpec::None,
    subcommands: &[],
    run: |ctx, args| flush(ctx, args, ctx.db..ctx.db + 1),
};

pub(super) const FLUSHALL: CommandSpec = CommandSpec {
    name: "FLUSHALL",
    summary: "Removes all keys from all databases",
    complexity: "O(N) where N is the total number of keys in all databases",
    run: |ctx, args| flush(ctx, args, 0..ctx.core.dbs.len()),
    ..FLUSHDB
};

pub(super) const SWAPDB: CommandSpec = CommandSpec {
    name: "SWAPDB",
    summary: "Swaps two databases",
    since: "4.0.0",
    complexity: "O(N) where N is the count of clients watching keys of both databases",
    arity: Arity::exactly(3),
    flags: Flags::WRITE.and(Flags::FAST),
    run: swap,
    ..FLUSHDB
};

fn flush(ctx: &mut Ctx<'_>, args: &Args<'_>, dbs: std::ops::Range<usize>) -> CommandResult {
    let known = match args.rest(1) {
        [] => true,
        [_] => args.is(1, "ASYNC") || args.is(1, "SYNC"),
        _ => false,
    };
    if !known {
        return Err(ErrorReply::SYNTAX);
    }
    for db in dbs {
        ctx.core.touch_watched_in(db, None);
        ctx.core.dbs[db].clear();
        ctx.core.note_all_for_waiters(db);
    }
    ctx.core.effects.changed();
    ctx.core.forget_candidates();
    ctx.core.invalidate_everything();
    Ok(Reply::Ok)
}

fn swap(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let number = |i: usize, text: &'static str| {
        let number = parse_int(args.bytes(i)).and_then(|number| i32::try_from(number).ok());
        number.ok_or_else(|| ErrorReply::new(text))
    };
    let first = number(1, "ERR invalid first DB index")?;
    let second = number(2, "ERR invalid second DB index")?;
    let known = |number: i32| {
        let number = usize::try_from(number).ok();
        number
            .filter(|number| *number < ctx.core.dbs.len())
            .ok_or(ErrorReply::DB_OUT_OF_RANGE)
    };
    let (first, second) = (known(first)?, known(second)?);
    if first != second {
        ctx.core.touch_watched_in(first, Some(second));
        ctx.core.touch_watched_in(second, Some(first));
        ctx.core.dbs.swap(first, second);
        ctx.core.note_all_for_waiters(first);
        ctx.core.note_all_for_waiters(second);
        ctx.core.effects.changed();
        ctx.core.give_up_rewrite("SWAPDB moved databases meanwhile");
        ctx.core.forget_candidates();
    }
    Ok(Reply::Ok)
}

#[cfg(test)]
mod tests {
    use crate::testing::{Shell, check};

    #[test]
    fn databases_are_emptied_one_or_all() {
        Shell::new().check(
            r"
            SET k 1 EX 100 => OK
            SELECT 1 => OK
            SET k 1 => OK
            FLUSHDB => OK
            DBSIZE => (int) 0
            SELECT 0 => OK
            DBSIZE => (int) 1
            FLUSHALL NOW => ERR syntax error
            FLUSHALL SYNC x => ERR syntax error
            FLUSHALL ASYNC => OK
            DBSIZE => (int) 0
            ",
        );
    }

    #[test]
    fn a_flush_reaches_every_tracking_client_once() {
        let shell = Shell::new();
        let (reader, pushes) = shell.listener();
        check(&reader, "CLIENT TRACKING ON NOLOOP => OK\n GET k => nil\n GET l => nil");
        shell.run("FLUSHALL");
        assert_eq!(pushes.take(), [r#"push["invalidate" nil]"#]);
        shell.run("SET k 1");
        assert_eq!(pushes.take(), [""; 0], "what was read before is forgotten");
        check(&reader, "SELECT 3 => OK\n FLUSHDB => OK");
        assert_eq!(
            pushes.take(),
            [r#"push["invalidate" nil]"#],
            "of any database, and one's own"
        );
    }

    #[test]
    fn swapped_databases_change_places_for_everyone() {
        let shell = Shell::new();
        let other = shell.engine.connect();
        check(&other, "SELECT 1 => OK");
        shell.check("SET k 0 => OK\n SWAPDB 0 1 => OK\n EXISTS k => (int) 0");
        check(&other, "GET k => \"0\"");
        shell.check(
            r"
            SWAPDB 0 x => ERR invalid second DB index
            SWAPDB x 0 => ERR invalid first DB index
            SWAPDB 0 99 => ERR DB index is out of range
            ",
        );
    }
}
