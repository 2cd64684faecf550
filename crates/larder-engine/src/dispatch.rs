//! From arguments to a reply: finding the command, the checks that every command shares, running it.

use crate::{
    ErrorReply, Reply, Resp,
    command::{self, Args, Command, Flags, abort_transaction},
    ctx::Ctx,
    log,
    transaction::Queue,
};

/// Runs one command for a client, or queues it if the client has begun a transaction.
pub(crate) fn run(ctx: &mut Ctx<'_>, args: &[&[u8]]) -> Reply {
    let found = find(args);
    let standing = Standing::of(ctx, found.as_ref().ok());
    if standing.is_closing {
        return Reply::Error(ErrorReply::CLIENT_CLOSED);
    }
    ctx.core.sweep_if_due(ctx.now());
    let reply = match found.and_then(|command| admit(ctx, command, standing).map(|()| command)) {
        Ok(command) if standing.has_begun && !ENDS_OR_STAYS_OUTSIDE.contains(&command.name) => {
            enqueue(ctx, command, args)
        }
        Ok(command) => {
            ctx.may_wait &= command.flags.has(Flags::BLOCKING);
            call(ctx, command, &Args::new(args))
        }
        Err(error) => {
            let error = refuse(ctx, args, error);
            ctx.core.stats.count_error(&error);
            Reply::Error(error)
        }
    };
    if ctx.core.effects.is_recorded() {
        ctx.core.commit_effects();
    }
    ctx.core.serve_waiters(ctx.time());
    if ctx.core.tracking.is_in_use() {
        end_caching(ctx, args);
        ctx.core.settle_tracking();
    }
    reply
}

/// A command that is refused before it runs spoils a transaction; `EXEC` itself ends it.
fn refuse(ctx: &mut Ctx<'_>, args: &[&[u8]], error: ErrorReply) -> ErrorReply {
    if args.first().is_some_and(|name| name.eq_ignore_ascii_case(b"EXEC")) {
        return abort_transaction(ctx, &error);
    }
    ctx.client().transaction.flaw();
    error
}

/// What a client may do, taken in one look-up before each command.
#[derive(Clone, Copy)]
struct Standing {
    is_closing: bool,
    is_authenticated: bool,
    /// It subscribed and speaks RESP2.
    is_listening: bool,
    /// It is between `MULTI` and `EXEC`.
    has_begun: bool,
}

impl Standing {
    fn of(ctx: &mut Ctx<'_>, command: Option<&Command>) -> Self {
        let (now, client) = (ctx.time(), ctx.client());
        client.active_at = now;
        if let Some(command) = command {
            client.last_command = Some(command.name);
        }
        Self {
            is_closing: client.closing,
            is_authenticated: client.authenticated,
            is_listening: client.resp == Resp::V2 && client.is_subscriber(),
            has_begun: client.transaction.queue.is_some(),
        }
    }
}

/// `CLIENT CACHING` is for the next command, or for the transaction that begins with it.
fn end_caching(ctx: &mut Ctx<'_>, args: &[&[u8]]) {
    let client = ctx.client();
    let Some(mode) = client.tracking.as_mut().filter(|mode| mode.caching) else {
        return;
    };
    let asked_for_it = args.first().is_some_and(|name| name.eq_ignore_ascii_case(b"CLIENT"));
    mode.caching = asked_for_it || client.transaction.queue.is_some();
}

/// Commands that a transaction does not queue.
const ENDS_OR_STAYS_OUTSIDE: &[&str] = &["EXEC", "DISCARD", "MULTI", "WATCH", "QUIT", "RESET"];

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
pub(crate) fn find(args: &[&[u8]]) -> Result<Command, ErrorReply> {
    let name = args.first().ok_or_else(|| ErrorReply::unknown_command(&[b""]))?;
    let mut command = command::find(name).ok_or_else(|| ErrorReply::unknown_command(args))?;
    if let (false, Some(word)) = (command.subcommands.is_empty(), args.get(1)) {
        command = command
            .subcommand(word)
            .ok_or_else(|| ErrorReply::unknown_subcommand(command.name, word))?;
    }
    if command.arity.accepts(args.len()) {
        Ok(command)
    } else {
        Err(ErrorReply::wrong_arity(command.name))
    }
}

/// Whether this client may run this command in the state it is in.
fn admit(ctx: &mut Ctx<'_>, command: Command, standing: Standing) -> Result<(), ErrorReply> {
    let refusal = if !standing.is_authenticated && !command.flags.has(Flags::NO_AUTH) {
        ErrorReply::NO_AUTH
    } else if standing.is_listening && !SUBSCRIBER_COMMANDS.contains(&command.name) {
        ErrorReply::subscriber_only(command.name)
    } else if ctx.core.effects.is_recorded()
        && let Some(refusal) = broken_log(ctx, command)
    {
        refusal
    } else if is_too_large(ctx, command) {
        ErrorReply::OUT_OF_MEMORY
    } else {
        return Ok(());
    };
    ctx.core.stats.of(command.number).rejected += 1;
    Err(refusal)
}

/// Whether memory is full, even after eviction, and the command may take more. Inside `MULTI` every command does,
/// as it is queued; `EXEC` does if one of the queue does.
fn is_too_large(ctx: &mut Ctx<'_>, command: Command) -> bool {
    ctx.core.make_room(ctx.now());
    if !ctx.core.out_of_memory {
        return false;
    }
    match &ctx.client().transaction.queue {
        None => command.flags.has(Flags::DENYOOM),
        Some(queue) if command.name == "EXEC" => queue.needs_memory(),
        Some(_) => !ENDS_OR_STAYS_OUTSIDE.contains(&command.name),
    }
}

/// Why a command that changes data is refused, if the log is broken.
#[inline(never)]
fn broken_log(ctx: &mut Ctx<'_>, command: Command) -> Option<ErrorReply> {
    let refusal = ctx.core.effects.refusal()?;
    is_write(ctx, command).then_some(refusal)
}

/// Whether the command changes data, or is an `EXEC` of one that does. A script is asked when it calls one that does.
fn is_write(ctx: &mut Ctx<'_>, command: Command) -> bool {
    let queue = ctx.client().transaction.queue.as_ref();
    let ends = command.name == "EXEC" && queue.is_some_and(Queue::writes);
    ends || command.flags.has(Flags::WRITE)
}

fn enqueue(ctx: &mut Ctx<'_>, command: Command, args: &[&[u8]]) -> Reply {
    let bytes_max = ctx.core.settings.wire.query_max;
    let transaction = &mut ctx.client().transaction;
    let queue = transaction.queue.as_mut().expect("the caller saw a queue");
    match queue.add(command, args, bytes_max) {
        Ok(()) => Reply::status("QUEUED"),
        Err(error) => {
            transaction.flaw();
            Reply::Error(error)
        }
    }
}

/// Runs a command whose arguments are counted, and remembers what it read for client-side caching.
pub(crate) fn call(ctx: &mut Ctx<'_>, command: Command, args: &Args<'_>) -> Reply {
    let reply = invoke(ctx, command, args);
    if ctx.core.tracking.is_in_use() && command.flags.has(Flags::READONLY) {
        ctx.core.remember_reads(ctx.client, command.keys.of(args));
    }
    reply
}

/// Runs a command and counts the call; for scripts, which declare by themselves what they read.
pub(crate) fn invoke(ctx: &mut Ctx<'_>, command: Command, args: &Args<'_>) -> Reply {
    let started = ctx.core.clock.coarse();
    let result = if ctx.core.effects.is_recorded() && command.flags.has(Flags::WRITE) {
        log::recorded(ctx, command, args)
    } else {
        (command.run)(ctx, args)
    };
    let spent = ctx.core.clock.coarse().saturating_sub(started);
    ctx.core.stats.count(command.number, spent, result.is_err());
    if let Err(error) = &result {
        ctx.core.stats.count_error(error);
    }
    ctx.note_if_slow(spent, args);
    result.into()
}
