//! `BLMPOP timeout numkeys key [key ...] LEFT|RIGHT [COUNT count]`: takes elements from the first of these lists that is
//! there, or from the first to come; answers its key and the elements.
//!
//! Reference: <https://redis.io/commands/blmpop/>.

use crate::{
    ErrorReply, Reply,
    command::{
        Args, Arity, CommandResult, CommandSpec, Flags, KeySpec,
        list::{
            lmove::end,
            lmpop::{LMPOP, count},
            pop::{take, tell},
        },
        timeout,
    },
    ctx::Ctx,
    value::{End, List},
    wait::{TIMED_OUT, Waiting},
};

pub(super) const BLMPOP: CommandSpec = CommandSpec {
    name: "BLMPOP",
    summary: "Pops elements from a list, or blocks until one is available",
    complexity: "O(N+M) where N is the number of provided keys and M is the number of elements returned",
    arity: Arity::at_least(5),
    flags: Flags::WRITE.and(Flags::BLOCKING).and(Flags::MOVABLEKEYS),
    keys: KeySpec::Counted { count: 2 },
    run: blmpop,
    ..LMPOP
};

fn blmpop(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (keys, after) = args.counted_keys(2, ErrorReply::KEYS_ZERO)?;
    let end = end(args, after)?;
    let count = count(args, after + 1)?;
    let timeout = timeout::seconds(args, 1)?;
    for key in keys {
        if ctx.read::<List>(key)?.is_some() {
            return pop_many(ctx, key, end, count);
        }
    }
    let wanted = move |ctx: &mut Ctx<'_>, key: &[u8]| ctx.holds::<List>(key).then(|| pop_many(ctx, key, end, count));
    let waiting = Waiting::on(ctx, keys, timeout, Box::new(wanted));
    Ok(ctx.wait(waiting).unwrap_or(TIMED_OUT))
}

/// Takes from a list that is there.
fn pop_many(ctx: &mut Ctx<'_>, key: &[u8], end: End, count: usize) -> CommandResult {
    let taken = take(ctx, key, end, count)?.unwrap_or_default();
    tell(ctx, key, end, Some(taken.len()));
    Ok(Reply::Array(vec![Reply::bulk(key), Reply::bulks(taken)]))
}
