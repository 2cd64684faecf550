//! `SINTERCARD numkeys key [key ...] [LIMIT limit]`: how many members sets have in common, counted up to a limit.
//!
//! Reference: <https://redis.io/commands/sintercard/>.

use crate::{
    ErrorReply, Reply,
    command::{
        Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec,
        set::algebra::{common, sets},
    },
    ctx::Ctx,
};

pub(super) const SINTERCARD: CommandSpec = CommandSpec {
    name: "SINTERCARD",
    summary: "Returns the number of members of the intersect of multiple sets",
    since: "7.0.0",
    complexity: "O(N*M) worst case where N is the size of the smallest set and M is the number of sets",
    group: Group::Set,
    arity: Arity::at_least(3),
    flags: Flags::READONLY.and(Flags::MOVABLEKEYS),
    keys: KeySpec::Counted { count: 1 },
    subcommands: &[],
    run: sintercard,
};

fn sintercard(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let count = args.at_least(1, 1, ErrorReply::KEYS_ZERO)?;
    let keys = args.rest(2).get(..count).ok_or(ErrorReply::TOO_MANY_KEYS)?;
    let limit = limit(args, 2 + count)?;
    let sets = sets(ctx, keys)?;
    Ok(Reply::count(common(&sets).take(limit).count()))
}

/// `[LIMIT limit]` from argument `from` on, the last one if repeated; 0 is none.
pub(in crate::command) fn limit(args: &Args<'_>, from: usize) -> Result<usize, ErrorReply> {
    let mut limit = 0;
    for i in (from..args.len()).step_by(2) {
        if !args.is(i, "LIMIT") || i + 1 == args.len() {
            return Err(ErrorReply::SYNTAX);
        }
        limit = args.at_least(i + 1, 0, ErrorReply::LIMIT_NEGATIVE)?;
    }
    Ok(if limit == 0 { usize::MAX } else { limit })
}
