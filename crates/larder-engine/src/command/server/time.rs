//! `TIME`, `ROLE`, `WAIT replicas timeout`: what time it is here, and that there are no replicas.
//!
//! Reference: <https://redis.io/commands/time/>, <https://redis.io/commands/role/>.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
};

pub(super) const TIME: CommandSpec = CommandSpec {
    name: "TIME",
    summary: "Returns the server time",
    since: "2.6.0",
    complexity: "O(1)",
    group: Group::Server,
    arity: Arity::exactly(1),
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
    keys: KeySpec::None,
    subcommands: &[],
    run: time,
};

pub(super) const ROLE: CommandSpec = CommandSpec {
    name: "ROLE",
    summary: "Returns the replication role",
    since: "2.8.12",
    flags: Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE).and(Flags::FAST),
    run: |_, _| {
        Ok(Reply::Array(vec![
            Reply::bulk("master"),
            Reply::Int(0),
            Reply::Array(vec![]),
        ]))
    },
    ..TIME
};

pub(super) const WAIT: CommandSpec = CommandSpec {
    name: "WAIT",
    summary: "Blocks until the synchronous replication of all preceding write commands sent by the connection is completed",
    since: "3.0.0",
    group: Group::Generic,
    arity: Arity::exactly(3),
    flags: Flags::NOSCRIPT,
    run: wait,
    ..TIME
};

fn time(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    let now = ctx.time();
    Ok(Reply::bulks([
        now.as_secs().to_string(),
        now.subsec_micros().to_string(),
    ]))
}

/// Nobody can acknowledge, so there is nothing to wait for.
fn wait(_: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    args.int(1)?;
    let timeout = args.get(2).and_then(crate::command::parse_int);
    match timeout {
        None => Err(ErrorReply::new("ERR timeout is not an integer or out of range")),
        Some(..0) => Err(ErrorReply::new("ERR timeout is negative")),
        Some(_) => Ok(Reply::Int(0)),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn time_is_the_clock_that_was_handed_in() {
        let shell = Shell::new();
        shell.check("TIME => [\"1767225600\" \"0\"]");
        shell.advance(1_500);
        shell.check("TIME => [\"1767225601\" \"500000\"]\n ROLE => [\"master\" (int) 0 []]");
        shell.check("WAIT 1 0 => (int) 0\n WAIT 0 -1 => ERR timeout is negative\n WAIT x 1 => ERR value is not an integer or out of range");
    }
}
