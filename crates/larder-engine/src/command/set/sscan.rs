//! `SSCAN key cursor [MATCH pattern] [COUNT count]`: some members, and where to go on.
//!
//! Reference: <https://redis.io/commands/sscan/>.

use crate::{
    Reply,
    command::{
        Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec,
        scan::{self, Scan},
    },
    ctx::Ctx,
    value::Set,
};

pub(super) const SSCAN: CommandSpec = CommandSpec {
    name: "SSCAN",
    summary: "Iterates over members of a set",
    since: "2.8.0",
    complexity: "O(1) for every call; O(N) for a complete iteration",
    group: Group::Set,
    arity: Arity::at_least(3),
    flags: Flags::READONLY,
    keys: KeySpec::first(),
    subcommands: &[],
    run: sscan,
};

fn sscan(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let Some(set) = scan::collection::<Set>(ctx, args)? else {
        return Ok(scan::page(0, Vec::new()));
    };
    let scan = Scan::parse(args, 2, false)?;
    let (positions, next) = scan.positions(set.len());
    let members = positions.map(|position| set.at(position));
    let found = members.filter(|member| scan.accepts(member)).map(Reply::bulk);
    Ok(scan::page(next, found.collect()))
}
