//! `PING [message]`: `PONG`, or the message back.
//!
//! Reference: <https://redis.io/commands/ping/>. A subscriber in RESP2 is answered in the form of a message, for it
//! expects nothing else.

use crate::{
    ErrorReply, Reply, Resp,
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

fn ping(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    if args.len() > 2 {
        return Err(ErrorReply::wrong_arity("ping"));
    }
    let client = ctx.client();
    if client.resp == Resp::V2 && client.is_subscriber() {
        let message = args.get(1).unwrap_or_default();
        return Ok(Reply::bulks([b"pong", message]));
    }
    Ok(args.get(1).map_or_else(|| Reply::status("PONG"), Reply::bulk))
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn a_ping_is_answered() {
        Shell::new().check(
            r#"
            PING => PONG
            PING hello => "hello"
            PING a b => ERR wrong number of arguments for 'ping' command
            SUBSCRIBE c => push["subscribe" "c" (int) 1]
            PING => ["pong" ""]
            PING x => ["pong" "x"]
            "#,
        );
    }
}
