//! `ZREMRANGEBYRANK`, `ZREMRANGEBYSCORE`, `ZREMRANGEBYLEX key min max`: removes the members of a range and says how
//! many.
//!
//! Reference: <https://redis.io/commands/zremrangebyrank/>, <https://redis.io/commands/zremrangebyscore/>,
//! <https://redis.io/commands/zremrangebylex/>.

use std::ops::Range;

use crate::{
    Reply,
    command::{
        Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec, rank_range,
        sorted_set::bounds::{LexBounds, ScoreBounds},
    },
    ctx::Ctx,
    notify::Class,
    value::{Order, SortedSet},
};

pub(super) const ZREMRANGEBYRANK: CommandSpec = CommandSpec {
    name: "ZREMRANGEBYRANK",
    summary: "Removes members in a sorted set within a range of indexes",
    since: "2.0.0",
    complexity: "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements removed",
    group: Group::SortedSet,
    arity: Arity::exactly(4),
    flags: Flags::WRITE,
    keys: KeySpec::first(),
    subcommands: &[],
    run: zremrangebyrank,
};

pub(super) const ZREMRANGEBYSCORE: CommandSpec = CommandSpec {
    name: "ZREMRANGEBYSCORE",
    summary: "Removes members in a sorted set within a range of scores",
    since: "1.2.0",
    run: |ctx, args| {
        let bounds = ScoreBounds::parse(args.bytes(2), args.bytes(3))?;
        remove(ctx, args, |order| bounds.ranks(order), "zremrangebyscore")
    },
    ..ZREMRANGEBYRANK
};

pub(super) const ZREMRANGEBYLEX: CommandSpec = CommandSpec {
    name: "ZREMRANGEBYLEX",
    summary: "Removes members in a sorted set within a lexicographical range",
    since: "2.8.9",
    run: |ctx, args| {
        let bounds = LexBounds::parse(args.bytes(2), args.bytes(3))?;
        remove(ctx, args, |order| bounds.ranks(order), "zremrangebylex")
    },
    ..ZREMRANGEBYRANK
};

fn zremrangebyrank(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (start, stop) = (args.int(2)?, args.int(3)?);
    let ranks = |order: &Order| rank_range(start, stop, order.len());
    remove(ctx, args, ranks, "zremrangebyrank")
}

fn remove(
    ctx: &mut Ctx<'_>,
    args: &Args<'_>,
    ranks: impl FnOnce(&Order) -> Range<usize>,
    event: &'static str,
) -> CommandResult {
    let key = args.bytes(1);
    let removed = ctx
        .update(key, |set: &mut SortedSet| {
            let ranks = ranks(set.order());
            set.remove_range(ranks).len()
        })?
        .unwrap_or(0);
    if removed > 0 {
        ctx.modified(key, Class::SortedSet, event);
    }
    Ok(Reply::count(removed))
}
