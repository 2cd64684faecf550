//! From arguments to a reply: finding the command, the checks that every command shares, running it.

use crate::{
    ErrorReply, Reply,
    command::{self, Args, CommandSpec, Flags},
    ctx::Ctx,
};

/// Runs one command for a client.
pub(crate) fn run(ctx: &mut Ctx<'_>, args: &[&[u8]]) -> Reply {
    match find(args) {
        Ok(spec) => call(ctx, spec, &Args::new(args)),
        Err(error) => Reply::Error(error),
    }
}

/// The command these arguments name, a container's subcommand included, with their number checked.
pub(crate) fn find(args: &[&[u8]]) -> Result<&'static CommandSpec, ErrorReply> {
    let name = args.first().ok_or_else(|| ErrorReply::unknown_command(&[b""]))?;
    let mut spec = command::find(name).ok_or_else(|| ErrorReply::unknown_command(args))?;
    if let (false, Some(word)) = (spec.subcommands.is_empty(), args.get(1)) {
        spec = spec
            .subcommand(word)
            .ok_or_else(|| ErrorReply::unknown_subcommand(spec.name, word))?;
    }
    if spec.arity.accepts(args.len()) {
        Ok(spec)
    } else {
        Err(ErrorReply::wrong_arity(spec.name))
    }
}

/// Runs a command whose arguments are counted: also the way in for scripts and transactions.
pub(crate) fn call(ctx: &mut Ctx<'_>, spec: &'static CommandSpec, args: &Args<'_>) -> Reply {
    let reply = (spec.run)(ctx, args);
    if spec.flags.has(Flags::READONLY) && ctx.client().tracking.is_some() {
        remember_reads(ctx, spec, args);
    }
    reply.into()
}

fn remember_reads(ctx: &mut Ctx<'_>, spec: &CommandSpec, args: &Args<'_>) {
    for key in spec.keys.of(args) {
        ctx.core.tracking.remember(ctx.client, key);
    }
}
