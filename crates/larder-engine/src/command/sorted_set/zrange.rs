//! `ZRANGE key start stop [BYSCORE|BYLEX] [REV] [LIMIT offset count] [WITHSCORES]`: members by rank, score or name.
//! Its elders `ZREVRANGE`, `ZRANGEBYSCORE`, `ZREVRANGEBYSCORE`, `ZRANGEBYLEX`, `ZREVRANGEBYLEX` have fixed what it
//! leaves open. `ZRANGESTORE destination key ...` stores the members with their scores.
//!
//! Reference: <https://redis.io/commands/zrange/>, <https://redis.io/commands/zrevrange/>,
//! <https://redis.io/commands/zrangebyscore/>, <https://redis.io/commands/zrevrangebyscore/>,
//! <https://redis.io/commands/zrangebylex/>, <https://redis.io/commands/zrevrangebylex/>,
//! <https://redis.io/commands/zrangestore/>.

use crate::{
    command::{
        Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec,
        sorted_set::{
            algebra::store,
            listing::listing,
            query::{By, Form, Query},
        },
    },
    ctx::Ctx,
    value::SortedSet,
};

pub(super) const ZRANGE: CommandSpec = CommandSpec {
    name: "ZRANGE",
    summary: "Returns members in a sorted set within a range of indexes",
    since: "1.2.0",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned",
    group: Group::SortedSet,
    arity: Arity::at_least(4),
    flags: Flags::READONLY,
    keys: KeySpec::first(),
    subcommands: &[],
    run: |ctx, args| list(ctx, args, Form::OPEN),
};

pub(super) const ZREVRANGE: CommandSpec = CommandSpec {
    name: "ZREVRANGE",
    summary: "Returns members in a sorted set within a range of indexes in reverse order",
    run: |ctx, args| list(ctx, args, Form::fixed(By::Rank, true)),
    ..ZRANGE
};

pub(super) const ZRANGEBYSCORE: CommandSpec = CommandSpec {
    name: "ZRANGEBYSCORE",
    summary: "Returns members in a sorted set within a range of scores",
    since: "1.0.5",
    run: |ctx, args| list(ctx, args, Form::fixed(By::Score, false)),
    ..ZRANGE
};

pub(super) const ZREVRANGEBYSCORE: CommandSpec = CommandSpec {
    name: "ZREVRANGEBYSCORE",
    summary: "Returns members in a sorted set within a range of scores in reverse order",
    since: "2.2.0",
    run: |ctx, args| list(ctx, args, Form::fixed(By::Score, true)),
    ..ZRANGE
};

pub(super) const ZRANGEBYLEX: CommandSpec = CommandSpec {
    name: "ZRANGEBYLEX",
    summary: "Returns members in a sorted set within a lexicographical range",
    since: "2.8.9",
    run: |ctx, args| list(ctx, args, Form::fixed(By::Lex, false)),
    ..ZRANGE
};

pub(super) const ZREVRANGEBYLEX: CommandSpec = CommandSpec {
    name: "ZREVRANGEBYLEX",
    summary: "Returns members in a sorted set within a lexicographical range in reverse order",
    since: "2.8.9",
    run: |ctx, args| list(ctx, args, Form::fixed(By::Lex, true)),
    ..ZRANGE
};

pub(super) const ZRANGESTORE: CommandSpec = CommandSpec {
    name: "ZRANGESTORE",
    summary: "Stores a range of members from a sorted set in a key",
    since: "6.2.0",
    arity: Arity::at_least(5),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    keys: KeySpec::Range {
        first: 1,
        last: 2,
        step: 1,
    },
    run: zrangestore,
    ..ZRANGE
};

fn list(ctx: &mut Ctx<'_>, args: &Args<'_>, form: Form) -> CommandResult {
    let query = Query::parse(args, 1, form)?;
    let resp = ctx.resp();
    let set = ctx.read::<SortedSet>(args.bytes(1))?;
    let items = set.into_iter().flat_map(|set| query.items(set));
    Ok(listing(items, query.with_scores, resp))
}

fn zrangestore(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let query = Query::parse(args, 2, Form::STORED)?;
    let mut result = SortedSet::default();
    if let Some(set) = ctx.read::<SortedSet>(args.bytes(2))? {
        query
            .items(set)
            .for_each(|(member, score)| result.insert(member, score));
    }
    Ok(store(ctx, args.bytes(1), result, "zrangestore"))
}
