//! `PING [message]`: `PONG`, or the message back.
//!
//! Reference: <https://redis.io/commands/ping/>.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
};

pub(super) const PING: CommandSpec = CommandSpec {
    name: "PING",
    summary: "Returns the server's liveliness response",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Connection,
    arity: Arity::at_least(1),
    flags: Flags::FAST,
    keys: KeySpec::None,
    subcommands: &[],
    run: ping,
};

fn ping(_: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    match args.all() {
        [_] => Ok(Reply::status("PONG")),
        [_, message] => Ok(Reply::bulk(message)),
        _ => Err(ErrorReply::wrong_arity("ping")),
    }
}
