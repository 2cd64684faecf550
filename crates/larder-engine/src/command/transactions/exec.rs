//! `MULTI`, `EXEC`, `DISCARD`: runs a list of commands with nobody else's in between.
//!
//! Reference: <https://redis.io/commands/exec/>. A command that was refused while queueing aborts the transaction; one
//! that fails when it runs does not undo or stop the others.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    dispatch,
    transaction::Queue,
};

pub(super) const MULTI: CommandSpec = CommandSpec {
    name: "MULTI",
    summary: "Starts a transaction",
    since: "1.2.0",
    complexity: "O(1)",
    group: Group::Transactions,
    arity: Arity::exactly(1),
    flags: Flags::NOSCRIPT
        .and(Flags::LOADING)
        .and(Flags::STALE)
        .and(Flags::FAST)
        .and(Flags::ALLOW_BUSY),
    keys: KeySpec::None,
    subcommands: &[],
    run: multi,
};

pub(super) const EXEC: CommandSpec = CommandSpec {
    name: "EXEC",
    summary: "Executes all commands in a transaction",
    complexity: "Depends on commands in the transaction",
    flags: Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE),
    run: exec,
    ..MULTI
};

pub(super) const DISCARD: CommandSpec = CommandSpec {
    name: "DISCARD",
    summary: "Discards a transaction",
    since: "2.0.0",
    complexity: "O(N), when N is the number of queued commands",
    run: discard,
    ..MULTI
};

fn multi(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    let transaction = &mut ctx.client().transaction;
    if transaction.queue.is_some() {
        return Err(ErrorReply::new("ERR MULTI calls can not be nested"));
    }
    transaction.queue = Some(Queue::default());
    Ok(Reply::Ok)
}

/// Ends the transaction; what was queued.
fn end(ctx: &mut Ctx<'_>) -> Option<Queue> {
    let queue = ctx.client().transaction.queue.take()?;
    ctx.core.unwatch(ctx.client);
    Some(queue)
}

fn discard(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    match end(ctx) {
        Some(_) => Ok(Reply::Ok),
        None => Err(ErrorReply::new("ERR DISCARD without MULTI")),
    }
}

fn exec(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    let spoiled = ctx.core.is_spoiled(ctx.client, ctx.now());
    let Some(queue) = end(ctx) else {
        return Err(ErrorReply::new("ERR EXEC without MULTI"));
    };
    if queue.flawed {
        return Err(ErrorReply::TRANSACTION_FLAWED);
    }
    if spoiled {
        return Ok(Reply::NullArray);
    }
    let mut replies = Vec::with_capacity(queue.commands.len());
    for queued in &queue.commands {
        let args: Vec<&[u8]> = queued.args.iter().map(Vec::as_slice).collect();
        replies.push(dispatch::call(ctx, queued.command, &Args::new(&args)));
    }
    Ok(Reply::Array(replies))
}

/// `EXEC` itself is refused, which ends the transaction.
pub(crate) fn abort(ctx: &mut Ctx<'_>, reason: &ErrorReply) -> ErrorReply {
    end(ctx);
    let reason = reason.as_str();
    // Only codes that say something of their own are told.
    let reason = reason.strip_prefix("ERR ").unwrap_or(reason);
    ErrorReply::new(format!("EXECABORT Transaction discarded because of: {reason}"))
}

#[cfg(test)]
mod tests {
    use crate::testing::{Shell, check};

    #[test]
    fn commands_wait_for_exec_and_run_together() {
        let shell = Shell::new();
        let other = shell.engine.connect();
        shell.check("MULTI => OK\n SET k 1 => QUEUED\n INCR k => QUEUED\n GET k => QUEUED");
        check(&other, "EXISTS k => (int) 0\n SET k 9 => OK");
        shell.check("EXEC => [OK (int) 2 \"2\"]\n MULTI => OK\n EXEC => []");
    }

    #[test]
    fn a_command_that_fails_does_not_stop_the_others() {
        Shell::new().check(
            r#"
            MULTI => OK
            SET k a => QUEUED
            INCR k => QUEUED
            SET l b => QUEUED
            EXEC => [OK ERR value is not an integer or out of range OK]
            "#,
        );
    }

    #[test]
    fn a_refused_command_aborts_the_transaction() {
        Shell::new().check(
            r"
            MULTI => OK
            SET k 1 => QUEUED
            NOPE => ERR unknown command 'NOPE', with args beginning with: 
            EXEC => EXECABORT Transaction discarded because of previous errors.
            EXISTS k => (int) 0
            MULTI => OK
            GET => ERR wrong number of arguments for 'get' command
            EXEC => EXECABORT Transaction discarded because of previous errors.
            ",
        );
    }

    #[test]
    fn what_does_not_fit_the_state_is_refused_and_does_not_abort() {
        Shell::new().check(
            r"
            EXEC => ERR EXEC without MULTI
            DISCARD => ERR DISCARD without MULTI
            MULTI => OK
            MULTI => ERR MULTI calls can not be nested
            WATCH k => ERR WATCH inside MULTI is not allowed
            SET k 1 => QUEUED
            EXEC => [OK]
            MULTI => OK
            DEL k => QUEUED
            DISCARD => OK
            EXISTS k => (int) 1
            ",
        );
    }

    #[test]
    fn a_selected_database_holds_for_what_follows() {
        Shell::new().check(
            r"
            MULTI => OK
            SELECT 2 => QUEUED
            SET k 1 => QUEUED
            EXEC => [OK OK]
            EXISTS k => (int) 1
            SELECT 0 => OK
            EXISTS k => (int) 0
            ",
        );
    }

    #[test]
    fn a_full_memory_refuses_commands_and_a_transaction_with_them() {
        let shell = Shell::with(|builder| builder.maxmemory(1_000));
        let oom = "OOM command not allowed when used memory > 'maxmemory'.";
        let other = shell.engine.connect();
        shell.check("MULTI => OK\n SET k 1 => QUEUED");
        crate::testing::run(&other, &format!("SET big {}", "x".repeat(2_000)));
        let exec = shell.print("EXEC");
        assert_eq!(exec, format!("EXECABORT Transaction discarded because of: {oom}"));
        shell.check(&format!(
            "MULTI => OK\n GET big => {oom}\n DISCARD => OK\n DEL big => (int) 1"
        ));
        shell.check("MULTI => OK\n EXEC => []");
    }

    #[test]
    fn a_queue_is_bounded() {
        let shell = Shell::new();
        shell.check("CONFIG SET client-query-buffer-limit 1mb => OK\n MULTI => OK");
        let line = format!("SET k {}", "x".repeat(400_000));
        assert_eq!(shell.print(&line), "QUEUED");
        assert_eq!(shell.print(&line), "QUEUED");
        assert!(shell.print(&line).contains("client-query-buffer-limit"));
        assert!(shell.print("EXEC").starts_with("EXECABORT"));
    }
}
