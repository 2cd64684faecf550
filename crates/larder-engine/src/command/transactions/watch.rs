//! `WATCH key [key ...]`, `UNWATCH`: `EXEC` will do nothing if one of the keys changed meanwhile.
//!
//! Reference: <https://redis.io/commands/watch/>.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
};

pub(super) const WATCH: CommandSpec = CommandSpec {
    name: "WATCH",
    summary: "Monitors changes to keys to determine the execution of a transaction",
    since: "2.2.0",
    complexity: "O(1) for every key",
    group: Group::Transactions,
    arity: Arity::at_least(2),
    flags: Flags::NOSCRIPT
        .and(Flags::LOADING)
        .and(Flags::STALE)
        .and(Flags::FAST)
        .and(Flags::ALLOW_BUSY),
    keys: KeySpec::all(),
    subcommands: &[],
    run: watch,
};

pub(super) const UNWATCH: CommandSpec = CommandSpec {
    name: "UNWATCH",
    summary: "Forgets about watched keys of a transaction",
    complexity: "O(1)",
    arity: Arity::exactly(1),
    keys: KeySpec::None,
    run: unwatch,
    ..WATCH
};

fn watch(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    if ctx.client().transaction.queue.is_some() {
        return Err(ErrorReply::new("ERR WATCH inside MULTI is not allowed"));
    }
    for key in args.rest(1) {
        // A key that has expired goes now: its removal later would count as a change.
        ctx.exists(key);
        ctx.core.watch(ctx.client, ctx.db, key);
    }
    Ok(Reply::Ok)
}

fn unwatch(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    ctx.core.unwatch(ctx.client);
    Ok(Reply::Ok)
}

#[cfg(test)]
mod tests {
    use crate::testing::{Shell, check};

    /// Whether a transaction that watches `k` runs after `other` did something.
    fn survives(shell: &Shell, meanwhile: &str) -> bool {
        let other = shell.engine.connect();
        shell.check("WATCH k => OK\n MULTI => OK\n PING => QUEUED");
        for line in meanwhile.lines() {
            _ = crate::testing::run(&other, line.trim());
        }
        match shell.print("EXEC").as_str() {
            "[PONG]" => true,
            "nil-array" => false,
            other => panic!("unexpected reply to EXEC: {other}"),
        }
    }

    #[test]
    fn a_change_by_anyone_spoils_the_transaction() {
        let shell = Shell::new();
        assert!(survives(&shell, "GET k"));
        assert!(!survives(&shell, "SET k 1"));
        assert!(survives(&shell, "SET other 1"));
        assert!(!survives(&shell, "EXPIRE k 100"));
        assert!(!survives(&shell, "DEL k"));
        assert!(survives(&shell, "DEL k"));
        assert!(survives(&shell, "SELECT 1\n SET k 1"), "of another database");
        shell.check("WATCH k => OK\n SET k 1 => OK\n MULTI => OK\n EXEC => nil-array");
        shell.check("WATCH k => OK\n SET k 1 => OK\n UNWATCH => OK\n MULTI => OK\n EXEC => []");
        shell.check("WATCH k => OK\n SET k 1 => OK\n MULTI => OK\n DISCARD => OK\n MULTI => OK\n EXEC => []");
    }

    #[test]
    fn flushing_and_swapping_spoil_only_if_the_key_is_concerned() {
        let shell = Shell::new();
        assert!(survives(&shell, "FLUSHALL"), "no such key");
        shell.run("SET k 1");
        assert!(survives(&shell, "SELECT 1\n FLUSHDB"));
        assert!(!survives(&shell, "FLUSHDB"));
        assert!(survives(&shell, "SWAPDB 0 1"), "neither has the key");
        assert!(!survives(&shell, "SELECT 1\n SET k 1\n SWAPDB 0 1"));
        assert!(!survives(&shell, "FLUSHALL"));
    }

    #[test]
    fn a_deadline_that_passes_spoils_even_if_nobody_looked() {
        let shell = Shell::new();
        shell.check("DEBUG SET-ACTIVE-EXPIRE 0 => OK\n SET k 1 PX 50 => OK\n WATCH k => OK\n MULTI => OK");
        shell.advance(50);
        shell.check("EXEC => nil-array");
    }

    #[test]
    fn a_key_that_was_dead_when_watched_does_not_spoil() {
        let shell = Shell::new();
        shell.check("SET k 1 PX 50 => OK");
        shell.advance(50);
        shell.check("WATCH k => OK\n MULTI => OK\n EXEC => []");
    }

    #[test]
    fn each_session_watches_for_itself() {
        let shell = Shell::new();
        let (first, second) = (shell.engine.connect(), shell.engine.connect());
        check(&first, "WATCH k => OK\n MULTI => OK");
        check(
            &second,
            "WATCH k => OK\n MULTI => OK\n SET k 1 => QUEUED\n EXEC => [OK]",
        );
        check(&first, "EXEC => nil-array");
    }
}
