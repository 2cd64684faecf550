//! `BZPOPMIN`, `BZPOPMAX key [key ...] timeout`, `BZMPOP timeout numkeys key [key ...] MIN|MAX [COUNT count]`: as `ZPOPMIN`,
//! `ZPOPMAX` and `ZMPOP` of the first of these keys that is there, or of the first to come.
//!
//! Reference: <https://redis.io/commands/bzpopmin/>, <https://redis.io/commands/bzpopmax/>,
//! <https://redis.io/commands/bzmpop/>.

use crate::{
    ErrorReply, Reply,
    command::{
        Args, Arity, CommandResult, CommandSpec, Flags, KeySpec,
        list::lmpop::count,
        sorted_set::{
            listing::{pair, pairs},
            zpop::{Side, ZMPOP, ZPOPMIN, scored, side, take},
        },
        timeout,
    },
    ctx::Ctx,
    value::SortedSet,
    wait::{TIMED_OUT, Waiting},
};

pub(super) const BZPOPMIN: CommandSpec = CommandSpec {
    name: "BZPOPMIN",
    summary: "Removes and returns the member with the lowest score from one or more sorted sets, or blocks until one is available",
    complexity: "O(log(N)) with N being the number of elements in the sorted set",
    arity: Arity::at_least(3),
    flags: Flags::WRITE.and(Flags::NOSCRIPT).and(Flags::BLOCKING).and(Flags::FAST),
    keys: KeySpec::Range {
        first: 1,
        last: -2,
        step: 1,
    },
    run: |ctx, args| pop(ctx, args, Side::Min),
    ..ZPOPMIN
};

pub(super) const BZPOPMAX: CommandSpec = CommandSpec {
    name: "BZPOPMAX",
    summary: "Removes and returns the member with the highest score from one or more sorted sets, or blocks until one is available",
    run: |ctx, args| pop(ctx, args, Side::Max),
    ..BZPOPMIN
};

pub(super) const BZMPOP: CommandSpec = CommandSpec {
    name: "BZMPOP",
    summary: "Removes and returns members with scores in a sorted set or blocks until one is available",
    complexity: "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped",
    arity: Arity::at_least(5),
    flags: Flags::WRITE.and(Flags::BLOCKING).and(Flags::MOVABLEKEYS),
    keys: KeySpec::Counted { count: 2 },
    run: bzmpop,
    ..ZMPOP
};

fn pop(ctx: &mut Ctx<'_>, args: &Args<'_>, side: Side) -> CommandResult {
    let last = args.len() - 1;
    let timeout = timeout::seconds(args, last)?;
    let keys = &args.all()[1..last];
    pop_late(ctx, keys, timeout, move |ctx, key| pop_one(ctx, key, side))
}

fn bzmpop(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (keys, after) = args.counted_keys(2, ErrorReply::KEYS_ZERO)?;
    let side = side(args, after)?;
    let count = count(args, after + 1)?;
    let timeout = timeout::seconds(args, 1)?;
    pop_late(ctx, keys, timeout, move |ctx, key| pop_many(ctx, key, side, count))
}

/// Pops from the first sorted set that is there, or waits for one.
fn pop_late(
    ctx: &mut Ctx<'_>,
    keys: &[&[u8]],
    timeout: Option<std::time::Duration>,
    pop: impl Fn(&mut Ctx<'_>, &[u8]) -> CommandResult + Send + 'static,
) -> CommandResult {
    for key in keys {
        if ctx.read::<SortedSet>(key)?.is_some() {
            return pop(ctx, key);
        }
    }
    let wanted = move |ctx: &mut Ctx<'_>, key: &[u8]| ctx.holds::<SortedSet>(key).then(|| pop(ctx, key));
    let waiting = Waiting::on(ctx, keys, timeout, Box::new(wanted));
    Ok(ctx.wait(waiting).unwrap_or(TIMED_OUT))
}

fn pop_one(ctx: &mut Ctx<'_>, key: &[u8], side: Side) -> CommandResult {
    let taken = take(ctx, key, side, 1)?.unwrap_or_default();
    ctx.tell(&[side.command(), key]);
    let popped = scored(&taken).flat_map(pair);
    Ok(Reply::Array(std::iter::once(Reply::bulk(key)).chain(popped).collect()))
}

fn pop_many(ctx: &mut Ctx<'_>, key: &[u8], side: Side, count: usize) -> CommandResult {
    let taken = take(ctx, key, side, count)?.unwrap_or_default();
    ctx.tell(&[side.command(), key, itoa::Buffer::new().format(taken.len()).as_bytes()]);
    Ok(Reply::Array(vec![Reply::bulk(key), pairs(scored(&taken))]))
}
