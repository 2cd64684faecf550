//! `DEBUG SET-ACTIVE-EXPIRE 0 | 1`: whether the engine looks for dead keys by itself.
//!
//! A real server has `DEBUG` switched off by default; what it can do there is mostly about its own insides.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
};

pub(super) const DEBUG: CommandSpec = CommandSpec {
    name: "DEBUG",
    summary: "A container for debugging commands",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Server,
    arity: Arity::at_least(2),
    flags: Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE),
    keys: KeySpec::None,
    subcommands: &[],
    run: debug,
};

fn debug(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    if args.is(1, "SET-ACTIVE-EXPIRE") && args.len() == 3 {
        ctx.core.sweep.is_active = args.int(2)? != 0;
        return Ok(Reply::Ok);
    }
    Err(ErrorReply::not_a_subcommand("DEBUG", args.bytes(1)))
}
