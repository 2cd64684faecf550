//! `ZSCAN key cursor [MATCH pattern] [COUNT count]`: some members with their scores, and where to go on.
//!
//! Reference: <https://redis.io/commands/zscan/>.

use crate::{
    Reply,
    command::{
        Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec,
        scan::{self, Scan},
    },
    ctx::Ctx,
    number::shown,
    value::SortedSet,
};

pub(super) const ZSCAN: CommandSpec = CommandSpec {
    name: "ZSCAN",
    summary: "Iterates over members and scores of a sorted set",
    since: "2.8.0",
    complexity: "O(1) for every call; O(N) for a complete iteration",
    group: Group::SortedSet,
    arity: Arity::at_least(3),
    flags: Flags::READONLY,
    keys: KeySpec::first(),
    subcommands: &[],
    run: zscan,
};

fn zscan(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let Some(set) = scan::collection::<SortedSet>(ctx, args)? else {
        return Ok(scan::page(0, Vec::new()));
    };
    let scan = Scan::parse(args, 2, false)?;
    let (positions, next) = scan.positions(set.len());
    let members = positions.map(|position| set.at(position));
    let found = members.filter(|(member, _)| scan.accepts(member));
    let found = found.flat_map(|(member, score)| [Reply::bulk(member), Reply::bulk(text(set, score))]);
    Ok(scan::page(next, found.collect()))
}

/// A score as text in both protocols: Redis shows what it holds, which is an integer wherever its compact encoding
/// can have one.
fn text(set: &SortedSet, score: f64) -> String {
    const INTEGER_MAX: f64 = (i64::MAX / 2) as f64;
    let integer = score as i64;
    if set.is_compact() && score.abs() <= INTEGER_MAX && integer as f64 == score {
        integer.to_string()
    } else {
        shown(score)
    }
}
