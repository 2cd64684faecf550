//! `CLIENT UNBLOCK id [TIMEOUT|ERROR]`: ends another client's wait.
//!
//! Reference: <https://redis.io/commands/client-unblock/>.

use super::info::LIST;
use crate::{
    ErrorReply, Reply,
    client::ClientId,
    command::{Args, Arity, CommandResult, CommandSpec},
    ctx::Ctx,
    wait::TIMED_OUT,
};

pub(super) const UNBLOCK: CommandSpec = CommandSpec {
    name: "CLIENT|UNBLOCK",
    summary: "Unblocks a client blocked by a blocking command from a different connection",
    since: "5.0.0",
    complexity: "O(log N) where N is the number of client connections",
    arity: Arity::at_least(3),
    run: unblock,
    ..LIST
};

fn unblock(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    if args.len() > 4 {
        return Err(ErrorReply::not_a_subcommand("CLIENT", args.bytes(1)));
    }
    if args.len() == 4 && !args.is(3, "TIMEOUT") && !args.is(3, "ERROR") {
        return Err(ErrorReply::new("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"));
    }
    let id = args.int(2)?;
    let answer = if args.is(3, "ERROR") {
        Reply::Error(ErrorReply::UNBLOCKED)
    } else {
        TIMED_OUT
    };
    let waited = u64::try_from(id).is_ok_and(|id| ctx.core.end_wait(ClientId(id), answer));
    Ok(Reply::from(waited))
}
