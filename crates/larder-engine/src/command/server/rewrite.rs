//! `BGREWRITEAOF`, `LASTSAVE`: the append-only log as an operator sees it.
//!
//! Reference: <https://redis.io/commands/bgrewriteaof/>, <https://redis.io/commands/lastsave/>.

use std::sync::atomic::Ordering;

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
};

pub(super) const BGREWRITEAOF: CommandSpec = CommandSpec {
    name: "BGREWRITEAOF",
    summary: "Asynchronously rewrites the append-only file to disk",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Server,
    arity: Arity::exactly(1),
    flags: Flags::ADMIN.and(Flags::NOSCRIPT),
    keys: KeySpec::None,
    subcommands: &[],
    run: rewrite,
};

pub(super) const LASTSAVE: CommandSpec = CommandSpec {
    name: "LASTSAVE",
    summary: "Returns the Unix timestamp of the last successful save to disk",
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
    run: last_save,
    ..BGREWRITEAOF
};

/// The rewrite begins when the command, or the transaction it is in, is over: it must not begin in the middle of one.
fn rewrite(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    let Some(recorder) = &mut ctx.core.effects.recorder else {
        let text = "ERR this engine keeps no append-only log; open it with a folder, as `larder serve --dir DIR` does";
        return Err(ErrorReply::new(text));
    };
    if recorder.log.files.rewrite.running.load(Ordering::Acquire) {
        let text = "ERR Background append only file rewriting already in progress";
        return Err(ErrorReply::new(text));
    }
    recorder.is_rewrite_asked = true;
    Ok(Reply::status("Background append only file rewriting started"))
}

/// When the log was last rewritten, or opened; without one, when the engine started.
fn last_save(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    let seconds = match &ctx.core.effects.recorder {
        Some(recorder) => recorder.log.files.rewrite.saved_at.load(Ordering::Relaxed),
        None => ctx.core.identity.started_at / 1_000,
    };
    Ok(Reply::Int(seconds as i64))
}
