//! `RESET`: makes the connection as it was when it was opened.
//!
//! Reference: <https://redis.io/commands/reset/>.

use super::auth::AUTH;
use crate::{
    Reply, Resp,
    client::{Client, ReplyMode},
    command::{Args, Arity, CommandResult, CommandSpec},
    ctx::Ctx,
};

pub(super) const RESET: CommandSpec = CommandSpec {
    name: "RESET",
    summary: "Resets the connection",
    since: "6.2.0",
    complexity: "O(1)",
    arity: Arity::exactly(1),
    run: reset,
    ..AUTH
};

fn reset(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    let id = ctx.client;
    ctx.core.unsubscribe_everything(id);
    ctx.core.stop_tracking(id);
    ctx.core.unwatch(id);
    let authenticated = ctx.core.settings.password.is_empty();
    let client: &mut Client = ctx.client();
    client.transaction.queue = None;
    client.db = 0;
    client.resp = Resp::V2;
    client.name.clear();
    client.reply_mode = ReplyMode::On;
    client.no_evict = false;
    client.no_touch = false;
    client.authenticated = authenticated;
    Ok(Reply::status("RESET"))
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn a_reset_forgets_everything_about_the_connection() {
        let shell = Shell::new();
        shell.check(
            r"
            SELECT 3 => OK
            CLIENT SETNAME me => OK
            ",
        );
        shell.run("HELLO 3");
        shell.run("SUBSCRIBE c");
        shell.check(
            r"
            RESET => RESET
            CLIENT GETNAME => nil
            PUBLISH c x => (int) 0
            ",
        );
        assert!(shell.print("CLIENT INFO").contains(" db=0 sub=0 "));
        shell.session.turn().core().settings.password = b"secret".to_vec();
        shell.check("RESET => RESET\n GET k => NOAUTH Authentication required.");
    }
}
