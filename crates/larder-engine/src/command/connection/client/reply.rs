//! `CLIENT REPLY ON|OFF|SKIP`: whether the server answers at all.
//!
//! Reference: <https://redis.io/commands/client-reply/>. A session in process is answered always.

use super::id::ID;
use crate::{
    ErrorReply, Reply,
    client::ReplyMode,
    command::{Args, Arity, CommandResult, CommandSpec},
    ctx::Ctx,
};

pub(super) const REPLY: CommandSpec = CommandSpec {
    name: "CLIENT|REPLY",
    summary: "Instructs the server whether to reply to commands",
    since: "3.2.0",
    arity: Arity::exactly(3),
    run: reply,
    ..ID
};

fn reply(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let client = ctx.client();
    client.reply_mode = if args.is(2, "ON") {
        ReplyMode::On
    } else if args.is(2, "OFF") {
        ReplyMode::Off
    } else if args.is(2, "SKIP") {
        // Whoever wants no replies at all does not begin to want them by skipping one.
        match client.reply_mode {
            ReplyMode::Off => ReplyMode::Off,
            _ => ReplyMode::SkipNext,
        }
    } else {
        return Err(ErrorReply::SYNTAX);
    };
    Ok(Reply::Ok)
}
