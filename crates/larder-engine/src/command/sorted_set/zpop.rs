//! `ZPOPMIN`, `ZPOPMAX key [count]`: takes the members with the lowest or highest scores. `ZMPOP numkeys key [key
//! ...] MIN|MAX [COUNT count]`: from the first of these keys that is there.
//!
//! Reference: <https://redis.io/commands/zpopmin/>, <https://redis.io/commands/zpopmax/>,
//! <https://redis.io/commands/zmpop/>.

use crate::{
    ErrorReply, Reply, Resp,
    command::{
        Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec,
        list::lmpop::count,
        sorted_set::listing::{pair, pairs},
    },
    ctx::Ctx,
    notify::Class,
    value::{Item, SortedSet},
};

pub(super) const ZPOPMIN: CommandSpec = CommandSpec {
    name: "ZPOPMIN",
    summary: "Returns the lowest-scoring members from a sorted set after removing them",
    since: "5.0.0",
    complexity: "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped",
    group: Group::SortedSet,
    arity: Arity::at_least(2),
    flags: Flags::WRITE.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: |ctx, args| pop(ctx, args, Side::Min),
};

pub(super) const ZPOPMAX: CommandSpec = CommandSpec {
    name: "ZPOPMAX",
    summary: "Returns the highest-scoring members from a sorted set after removing them",
    run: |ctx, args| pop(ctx, args, Side::Max),
    ..ZPOPMIN
};

pub(super) const ZMPOP: CommandSpec = CommandSpec {
    name: "ZMPOP",
    summary: "Returns the highest- or lowest-scoring members from one or more sorted sets after removing them",
    since: "7.0.0",
    arity: Arity::at_least(4),
    flags: Flags::WRITE.and(Flags::MOVABLEKEYS),
    keys: KeySpec::Counted { count: 1 },
    run: zmpop,
    ..ZPOPMIN
};

#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    Min,
    Max,
}

impl Side {
    /// The command that takes from this side.
    pub(super) const fn command(self) -> &'static [u8] {
        match self {
            Self::Min => b"ZPOPMIN",
            Self::Max => b"ZPOPMAX",
        }
    }
}

fn pop(ctx: &mut Ctx<'_>, args: &Args<'_>, side: Side) -> CommandResult {
    let count = match args.len() {
        2 => None,
        3 => Some(args.at_least(2, 0, ErrorReply::COUNT_NOT_POSITIVE)?),
        _ => return Err(ErrorReply::SYNTAX),
    };
    let taken = take(ctx, args.bytes(1), side, count.unwrap_or(1))?.unwrap_or_default();
    Ok(if count.is_some() && ctx.resp() == Resp::V3 {
        pairs(scored(&taken))
    } else {
        Reply::Array(scored(&taken).flat_map(pair).collect())
    })
}

fn zmpop(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (keys, after) = args.counted_keys(1, ErrorReply::KEYS_ZERO)?;
    let side = side(args, after)?;
    let count = count(args, after + 1)?;
    for key in keys {
        if let Some(taken) = take(ctx, key, side, count)? {
            return Ok(Reply::Array(vec![Reply::bulk(key), pairs(scored(&taken))]));
        }
    }
    Ok(Reply::NullArray)
}

/// Argument `i` as the side that goes first.
pub(super) fn side(args: &Args<'_>, i: usize) -> Result<Side, ErrorReply> {
    match () {
        () if args.is(i, "MIN") => Ok(Side::Min),
        () if args.is(i, "MAX") => Ok(Side::Max),
        () => Err(ErrorReply::SYNTAX),
    }
}

/// Takes up to `count` members, the outermost first; `None` if there is no sorted set.
pub(super) fn take(ctx: &mut Ctx<'_>, key: &[u8], side: Side, count: usize) -> Result<Option<Vec<Item>>, ErrorReply> {
    let taken = ctx.update(key, |set: &mut SortedSet| {
        let (len, count) = (set.len(), count.min(set.len()));
        match side {
            Side::Min => set.remove_range(0..count),
            Side::Max => (len - count..len).rev().map(|rank| set.take(rank)).collect(),
        }
    })?;
    if taken.as_ref().is_some_and(|taken| !taken.is_empty()) {
        let event = match side {
            Side::Min => "zpopmin",
            Side::Max => "zpopmax",
        };
        ctx.modified(key, Class::SortedSet, event);
    }
    Ok(taken)
}

pub(super) fn scored(items: &[Item]) -> impl Iterator<Item = (&[u8], f64)> {
    items.iter().map(|item| (&*item.member, item.score))
}
