//! `LMPOP numkeys key [key ...] LEFT|RIGHT [COUNT count]`: takes elements from the first of these lists that is there;
//! answers its key and the elements.
//!
//! Reference: <https://redis.io/commands/lmpop/>.

use crate::{
    ErrorReply, Reply,
    command::{
        Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec,
        list::{lmove::end, pop::take},
    },
    ctx::Ctx,
};

pub(in crate::command) const LMPOP: CommandSpec = CommandSpec {
    name: "LMPOP",
    summary: "Returns multiple elements from a list after removing them",
    since: "7.0.0",
    complexity: "O(N+M) where N is the number of keys and M the number of elements returned",
    group: Group::List,
    arity: Arity::at_least(4),
    flags: Flags::WRITE.and(Flags::MOVABLEKEYS),
    keys: KeySpec::Counted { count: 1 },
    subcommands: &[],
    run: lmpop,
};

fn lmpop(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (keys, after) = args.counted_keys(1, ErrorReply::KEYS_ZERO)?;
    let end = end(args, after)?;
    let count = count(args, after + 1)?;
    for key in keys {
        if let Some(taken) = take(ctx, key, end, count)? {
            return Ok(Reply::Array(vec![Reply::bulk(key), Reply::bulks(taken)]));
        }
    }
    Ok(Reply::NullArray)
}

/// `[COUNT count]` and nothing else, from argument `i` on.
pub(in crate::command) fn count(args: &Args<'_>, i: usize) -> Result<usize, ErrorReply> {
    match args.rest(i) {
        [] => Ok(1),
        [_, _] if args.is(i, "COUNT") => args.at_least(i + 1, 1, ErrorReply::COUNT_ZERO),
        [_, _, ..] if args.is(i, "COUNT") => {
            args.at_least(i + 1, 1, ErrorReply::COUNT_ZERO)?;
            Err(ErrorReply::SYNTAX)
        }
        _ => Err(ErrorReply::SYNTAX),
    }
}
