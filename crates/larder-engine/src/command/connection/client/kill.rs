//! `CLIENT KILL addr`, `CLIENT KILL option value ...`: closes connections.
//!
//! Reference: <https://redis.io/commands/client-kill/>. After a reconnect a client kills its former connection, so that
//! requests stuck on it cannot run later.

use super::{filter::Filter, info::LIST};
use crate::{
    ErrorReply, Reply,
    client::ClientId,
    command::{Args, Arity, CommandResult, CommandSpec},
    ctx::Ctx,
};

pub(super) const KILL: CommandSpec = CommandSpec {
    name: "CLIENT|KILL",
    summary: "Terminates open connections",
    arity: Arity::at_least(3),
    run: kill,
    ..LIST
};

fn kill(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    if let [addr] = args.rest(2) {
        let filter = Filter {
            addr: Some(addr),
            ..Filter::default()
        };
        return match kill_matching(ctx, &filter) {
            0 => Err(ErrorReply::new("ERR No such client")),
            _ => Ok(Reply::Ok),
        };
    }
    let filter = Filter::parse(ctx, args)?;
    Ok(Reply::count(kill_matching(ctx, &filter)))
}

fn kill_matching(ctx: &mut Ctx<'_>, filter: &Filter<'_>) -> usize {
    let now = ctx.time().as_secs();
    let doomed: Vec<ClientId> = ctx
        .core
        .clients
        .values()
        .filter(|client| !client.closing && filter.includes(client, now))
        .map(|client| client.id)
        .collect();
    for id in &doomed {
        ctx.core.leave_waiters(*id);
        ctx.core.clients.get_mut(id).expect("just listed").close();
    }
    doomed.len()
}

#[cfg(test)]
mod tests {
    use crate::testing::{Shell, print};

    #[test]
    fn a_killed_session_runs_nothing_more() {
        let shell = Shell::new();
        let other = shell.engine.connect();
        let id = other.id().0;
        shell.check(&format!(
            "CLIENT KILL ID {id} => (int) 1\n CLIENT KILL ID {id} => (int) 0"
        ));
        assert!(print(&other.execute(&[b"SET", b"k", b"1"])).contains("client was closed"));
        shell.check("EXISTS k => (int) 0");
    }

    #[test]
    fn oneself_is_spared_unless_told() {
        let shell = Shell::new();
        let _other = shell.engine.connect();
        shell.check(
            r"
            CLIENT KILL TYPE normal => (int) 1
            CLIENT KILL TYPE pubsub => (int) 0
            CLIENT KILL TYPE normal SKIPME no => (int) 1
            ",
        );
        assert!(shell.print("PING").contains("client was closed"));
    }

    #[test]
    fn filters_are_checked() {
        Shell::new().check(
            r"
            CLIENT KILL 127.0.0.1:1 => ERR No such client
            CLIENT KILL ID x => ERR client-id should be greater than 0
            CLIENT KILL ID 0 => ERR client-id should be greater than 0
            CLIENT KILL TYPE x => ERR Unknown client type 'x'
            CLIENT KILL USER x => ERR No such user 'x'
            CLIENT KILL foo bar => ERR syntax error
            CLIENT KILL ID 1 SKIPME => ERR syntax error
            CLIENT KILL MAXAGE 10 SKIPME no => (int) 0
            ",
        );
    }
}
