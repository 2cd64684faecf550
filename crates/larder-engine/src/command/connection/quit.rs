//! `QUIT`: answers `OK` and closes the connection.
//!
//! Reference: <https://redis.io/commands/quit/>.

use super::auth::AUTH;
use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec},
    ctx::Ctx,
};

pub(super) const QUIT: CommandSpec = CommandSpec {
    name: "QUIT",
    summary: "Closes the connection",
    complexity: "O(1)",
    arity: Arity::at_least(1),
    run: quit,
    ..AUTH
};

fn quit(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    ctx.client().close();
    Ok(Reply::Ok)
}
