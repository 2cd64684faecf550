//! `ZUNION`, `ZINTER`, `ZDIFF numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE SUM|MIN|MAX] [WITHSCORES]`: the
//! union, intersection or difference of sorted sets and sets, whose members score 1. With `STORE` and a destination
//! first, the result replaces what is there and its size is the answer. `ZINTERCARD numkeys key [key ...] [LIMIT
//! limit]` counts the intersection.
//!
//! Reference: <https://redis.io/commands/zunion/>, <https://redis.io/commands/zinter/>,
//! <https://redis.io/commands/zdiff/>, <https://redis.io/commands/zunionstore/>,
//! <https://redis.io/commands/zinterstore/>, <https://redis.io/commands/zdiffstore/>,
//! <https://redis.io/commands/zintercard/>.

use crate::{
    Reply,
    command::{
        Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec,
        set::sintercard::limit,
        sorted_set::{
            combine::{Input, Operation, common},
            inputs::{Options, Request, inputs},
            listing::listing,
        },
    },
    ctx::Ctx,
    notify::Class,
    value::{Kind, SortedSet},
};

pub(super) const ZUNION: CommandSpec = CommandSpec {
    name: "ZUNION",
    summary: "Returns the union of multiple sorted sets",
    since: "6.2.0",
    complexity: "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set",
    group: Group::SortedSet,
    arity: Arity::at_least(3),
    flags: Flags::READONLY.and(Flags::MOVABLEKEYS),
    keys: KeySpec::Counted { count: 1 },
    subcommands: &[],
    run: |ctx, args| list(ctx, args, Operation::Union),
};

pub(super) const ZINTER: CommandSpec = CommandSpec {
    name: "ZINTER",
    summary: "Returns the intersect of multiple sorted sets",
    complexity: "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input \
                 sorted sets and M being the number of elements in the resulting sorted set",
    run: |ctx, args| list(ctx, args, Operation::Intersection),
    ..ZUNION
};

pub(super) const ZDIFF: CommandSpec = CommandSpec {
    name: "ZDIFF",
    summary: "Returns the difference between multiple sorted sets",
    complexity: "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of \
                 the first set, and K is the size of the result set",
    run: |ctx, args| list(ctx, args, Operation::Difference),
    ..ZUNION
};

pub(super) const ZUNIONSTORE: CommandSpec = CommandSpec {
    name: "ZUNIONSTORE",
    summary: "Stores the union of multiple sorted sets in a key",
    since: "2.0.0",
    arity: Arity::at_least(4),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::MOVABLEKEYS),
    keys: KeySpec::StoreCounted,
    run: |ctx, args| store_combined(ctx, args, Operation::Union),
    ..ZUNION
};

pub(super) const ZINTERSTORE: CommandSpec = CommandSpec {
    name: "ZINTERSTORE",
    summary: "Stores the intersect of multiple sorted sets in a key",
    complexity: ZINTER.complexity,
    run: |ctx, args| store_combined(ctx, args, Operation::Intersection),
    ..ZUNIONSTORE
};

pub(super) const ZDIFFSTORE: CommandSpec = CommandSpec {
    name: "ZDIFFSTORE",
    summary: "Stores the difference of multiple sorted sets in a key",
    since: "6.2.0",
    complexity: ZDIFF.complexity,
    run: |ctx, args| store_combined(ctx, args, Operation::Difference),
    ..ZUNIONSTORE
};

pub(super) const ZINTERCARD: CommandSpec = CommandSpec {
    name: "ZINTERCARD",
    summary: "Returns the number of members of the intersect of multiple sorted sets",
    since: "7.0.0",
    complexity: "O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets",
    run: zintercard,
    ..ZUNION
};

fn list(ctx: &mut Ctx<'_>, args: &Args<'_>, operation: Operation) -> CommandResult {
    let request = Request::parse(ctx, args, 1)?;
    let options = Options::parse(args, &request, operation, false)?;
    let resp = ctx.resp();
    let result = operation.run(inputs(ctx, &request, &options), options.aggregate);
    let items = result.order().range(0..result.len());
    Ok(listing(
        items.map(|item| (&*item.member, item.score)),
        options.with_scores,
        resp,
    ))
}

fn store_combined(ctx: &mut Ctx<'_>, args: &Args<'_>, operation: Operation) -> CommandResult {
    let request = Request::parse(ctx, args, 2)?;
    let options = Options::parse(args, &request, operation, true)?;
    let result = operation.run(inputs(ctx, &request, &options), options.aggregate);
    Ok(store(ctx, args.bytes(1), result.compacted(), operation.event()))
}

fn zintercard(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let request = Request::parse(ctx, args, 1)?;
    let limit = limit(args, request.options_at)?;
    let mut inputs = inputs(ctx, &request, &Options::default());
    inputs.sort_by_key(Input::len);
    Ok(Reply::count(common(&inputs).take(limit).count()))
}

/// Puts a result in place of whatever is at the destination, or nothing if it is empty; answers its size.
pub(super) fn store(ctx: &mut Ctx<'_>, destination: &[u8], result: SortedSet, event: &'static str) -> Reply {
    let size = result.len();
    if size > 0 {
        ctx.put(destination, result.into_value(), None);
        ctx.modified(destination, Class::SortedSet, event);
    } else if ctx.remove(destination).is_some() {
        ctx.modified(destination, Class::Generic, "del");
    }
    Reply::count(size)
}
