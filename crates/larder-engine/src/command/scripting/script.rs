//! `SCRIPT LOAD | EXISTS | FLUSH | KILL | DEBUG`: the scripts that the engine keeps.
//!
//! Reference: <https://redis.io/commands/script-load/> and its neighbours.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
};

pub(super) const SCRIPT: CommandSpec = CommandSpec {
    name: "SCRIPT",
    summary: "A container for Lua scripts management commands",
    complexity: "Depends on subcommand",
    arity: Arity::at_least(2),
    flags: Flags::NONE,
    subcommands: &[&LOAD, &EXISTS, &FLUSH, &KILL, &DEBUG, &HELP],
    run: |_, args| Err(ErrorReply::unknown_subcommand("SCRIPT", args.bytes(1))),
    ..LOAD
};

const LOAD: CommandSpec = CommandSpec {
    name: "SCRIPT|LOAD",
    summary: "Loads a server-side Lua script to the script cache",
    since: "2.6.0",
    complexity: "O(N) with N being the length in bytes of the script body",
    group: Group::Scripting,
    arity: Arity::exactly(3),
    flags: Flags::NOSCRIPT.and(Flags::STALE),
    keys: KeySpec::None,
    subcommands: &[],
    run: load,
};

const EXISTS: CommandSpec = CommandSpec {
    name: "SCRIPT|EXISTS",
    summary: "Determines whether server-side Lua scripts exist in the script cache",
    complexity: "O(N) with N being the number of scripts to check",
    arity: Arity::at_least(3),
    flags: Flags::NOSCRIPT,
    run: exists,
    ..LOAD
};

const FLUSH: CommandSpec = CommandSpec {
    name: "SCRIPT|FLUSH",
    summary: "Removes all server-side Lua scripts from the script cache",
    complexity: "O(N) with N being the number of scripts in cache",
    arity: Arity::at_least(2),
    flags: Flags::NOSCRIPT,
    run: flush,
    ..LOAD
};

const KILL: CommandSpec = CommandSpec {
    name: "SCRIPT|KILL",
    summary: "Terminates a server-side Lua script during execution",
    complexity: "O(1)",
    arity: Arity::exactly(2),
    flags: Flags::NOSCRIPT,
    run: |_, _| Err(ErrorReply::NOT_BUSY),
    ..LOAD
};

const DEBUG: CommandSpec = CommandSpec {
    name: "SCRIPT|DEBUG",
    summary: "Sets the debug mode of server-side Lua scripts",
    since: "3.2.0",
    complexity: "O(1)",
    arity: Arity::exactly(3),
    flags: Flags::NOSCRIPT,
    run: debug,
    ..LOAD
};

const HELP: CommandSpec = CommandSpec {
    name: "SCRIPT|HELP",
    summary: "Returns helpful text about the different subcommands",
    since: "5.0.0",
    complexity: "O(1)",
    arity: Arity::exactly(2),
    flags: Flags::STALE,
    run: |_, _| Ok(Reply::Array(HELP_TEXT.iter().copied().map(Reply::status).collect())),
    ..LOAD
};

const HELP_TEXT: &[&str] = &[
    "SCRIPT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "DEBUG (YES|SYNC|NO)",
    "    Set the debug mode for subsequent scripts executed.",
    "EXISTS <sha1> [<sha1> ...]",
    "    Return information about the existence of the scripts in the script cache.",
    "FLUSH [ASYNC|SYNC]",
    "    Flush the Lua scripts cache. Very dangerous on replicas.",
    "    When called without the optional mode argument, the behavior is determined by the",
    "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
    "    * ASYNC: Asynchronously flush the scripts cache.",
    "    * SYNC: Synchronously flush the scripts cache.",
    "KILL",
    "    Kill the currently executing Lua script.",
    "LOAD <script>",
    "    Load a script into the scripts cache without executing it.",
    "HELP",
    "    Prints this help.",
];

fn load(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let sha = ctx.core.scripts.load(args.bytes(2))?;
    Ok(Reply::bulk(sha.as_str()))
}

fn exists(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let known = args.rest(2).iter().map(|sha| ctx.core.scripts.exists(sha).into());
    Ok(Reply::Array(known.collect()))
}

fn flush(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let known_mode = args.is(2, "ASYNC") || args.is(2, "SYNC");
    if args.len() > 3 || (args.len() == 3 && !known_mode) {
        return Err(ErrorReply::SCRIPT_FLUSH_MODE);
    }
    ctx.core.scripts.flush();
    Ok(Reply::Ok)
}

/// There is no debugger: only `NO` can be granted.
fn debug(_: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    if args.is(2, "NO") {
        Ok(Reply::Ok)
    } else if args.is(2, "YES") || args.is(2, "SYNC") {
        Err(ErrorReply::NO_SCRIPT_DEBUGGER)
    } else {
        Err(ErrorReply::SCRIPT_DEBUG_MODE)
    }
}
