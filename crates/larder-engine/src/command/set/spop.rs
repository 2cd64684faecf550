//! `SPOP key [count]`: takes a random member, or up to `count` different ones.
//!
//! Reference: <https://redis.io/commands/spop/>.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    value::{Bytes, Set},
};

pub(super) const SPOP: CommandSpec = CommandSpec {
    name: "SPOP",
    summary: "Returns one or more random members from a set after removing them",
    since: "1.0.0",
    complexity: "O(N) where N is the number of members returned",
    group: Group::Set,
    arity: Arity::at_least(2),
    flags: Flags::WRITE.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: spop,
};

fn spop(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let key = args.bytes(1);
    match args.len() {
        2 => Ok(Reply::bulk_or_null(take(ctx, key, 1)?.first())),
        3 => {
            let count = args.at_least(2, 0, ErrorReply::COUNT_NOT_POSITIVE)?;
            let taken = take(ctx, key, count)?;
            Ok(Reply::Set(taken.into_iter().map(Reply::bulk).collect()))
        }
        _ => Err(ErrorReply::SYNTAX),
    }
}

fn take(ctx: &mut Ctx<'_>, key: &[u8], count: usize) -> Result<Vec<Bytes>, ErrorReply> {
    let random = ctx.core.random.clone();
    let taken = ctx
        .update(key, |set: &mut Set| {
            let count = count.min(set.len());
            let draw = |_| set.take(random.below(set.len() as u64) as usize);
            (0..count).map(draw).collect::<Vec<_>>()
        })?
        .unwrap_or_default();
    if !taken.is_empty() {
        if ctx.is_recorded() {
            let members = taken.iter().map(|member| &**member);
            let effect: Vec<&[u8]> = [&b"SREM"[..], key].into_iter().chain(members).collect();
            ctx.tell(&effect);
        }
        ctx.modified(key, Class::Set, "spop");
    }
    Ok(taken)
}
