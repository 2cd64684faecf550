//! `SELECT db`, `SWAPDB a b`, `DBSIZE`: the numbered databases.
//!
//! Reference: <https://redis.io/commands/select/>, <https://redis.io/commands/swapdb/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
};

pub(super) const SELECT: CommandSpec = CommandSpec {
    name: "SELECT",
    summary: "Changes the selected database",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Connection,
    arity: Arity::exactly(2),
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
    keys: KeySpec::None,
    subcommands: &[],
    run: select,
};

pub(super) const DBSIZE: CommandSpec = CommandSpec {
    name: "DBSIZE",
    summary: "Returns the number of keys in the database",
    group: Group::Server,
    arity: Arity::exactly(1),
    flags: Flags::READONLY.and(Flags::FAST),
    run: |ctx, _| Ok(Reply::count(ctx.db().len())),
    ..SELECT
};

fn select(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let db = ctx.database(args, 1)?;
    ctx.select(db);
    Ok(Reply::Ok)
}

#[cfg(test)]
mod tests {
    use crate::testing::{Shell, run};

    #[test]
    fn each_session_selects_for_itself() {
        let shell = Shell::new();
        let other = shell.engine.connect();
        shell.check("SELECT 3 => OK\n SET k v => OK\n DBSIZE => (int) 1\n SELECT 16 => ERR DB index is out of range\n SELECT x => ERR value is not an integer or out of range\n DBSIZE => (int) 1");
        assert_eq!(run(&other, "DBSIZE"), crate::Reply::Int(0));
    }
}
