//! From arguments to a reply: finding the command, the checks that every command shares, running it.

use crate::{
    ErrorReply, Reply, Resp,
    command::{self, Args, CommandSpec, Flags},
    ctx::Ctx,
};

/// Runs one command for a client.
pub(crate) fn run(ctx: &mut Ctx<'_>, args: &[&[u8]]) -> Reply {
    let (now, client) = (ctx.time(), ctx.client());
    client.active_at = now;
    if client.closing {
        return Reply::Error(ErrorReply::CLIENT_CLOSED);
    }
    let found = find(args).and_then(|spec| admit(ctx, spec).map(|()| spec));
    match found {
        Ok(spec) => {
            ctx.client().last_command = Some(spec.name);
            call(ctx, spec, &Args::new(args))
        }
        Err(error) => Reply::Error(error),
    }
}

/// Whether this client may run this command in the state it is in.
fn admit(ctx: &mut Ctx<'_>, spec: &CommandSpec) -> Result<(), ErrorReply> {
    let client = ctx.client();
    if !client.authenticated && !spec.flags.has(Flags::NO_AUTH) {
        return Err(ErrorReply::NO_AUTH);
    }
    if client.resp == Resp::V2 && client.is_subscriber() && !SUBSCRIBER_COMMANDS.contains(&spec.name) {
        return Err(ErrorReply::subscriber_only(spec.name));
    }
    Ok(())
}

/// In RESP2 a message looks like a reply, so a subscriber may run nothing else.
const SUBSCRIBER_COMMANDS: &[&str] = &[
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "PSUBSCRIBE",
    "PUNSUBSCRIBE",
    "SSUBSCRIBE",
    "SUNSUBSCRIBE",
    "PING",
    "QUIT",
    "RESET",
];

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
