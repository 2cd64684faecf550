//! `HSCAN key cursor [MATCH pattern] [COUNT count]`: some fields with their values, and where to go on.
//!
//! Reference: <https://redis.io/commands/hscan/>.

use crate::{
    Reply,
    command::{
        Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec,
        scan::{self, Scan},
    },
    ctx::Ctx,
    value::Hash,
};

pub(super) const HSCAN: CommandSpec = CommandSpec {
    name: "HSCAN",
    summary: "Iterates over fields and values of a hash",
    since: "2.8.0",
    complexity: "O(1) for every call; O(N) for a complete iteration",
    group: Group::Hash,
    arity: Arity::at_least(3),
    flags: Flags::READONLY,
    keys: KeySpec::first(),
    subcommands: &[],
    run: hscan,
};

fn hscan(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let Some(hash) = scan::collection::<Hash>(ctx, args)? else {
        return Ok(scan::page(0, Vec::new()));
    };
    let scan = Scan::parse(args, 2, false)?;
    let (positions, next) = scan.positions(hash.len());
    let pairs = positions.map(|position| hash.at(position));
    let found = pairs.filter(|(field, _)| scan.accepts(field));
    let found = found.flat_map(|(field, value)| [Reply::bulk(field), Reply::bulk(value)]);
    Ok(scan::page(next, found.collect()))
}
