//! `HSET key field value [field value ...]`: sets fields and says how many are new. `HMSET`, its elder, says `OK`.
//!
//! Reference: <https://redis.io/commands/hset/>, <https://redis.io/commands/hmset/>.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    value::Hash,
};

pub(super) const HSET: CommandSpec = CommandSpec {
    name: "HSET",
    summary: "Creates or modifies the value of a field in a hash",
    since: "2.0.0",
    complexity: "O(N) where N is the number of fields set",
    group: Group::Hash,
    arity: Arity::at_least(4),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: |ctx, args| set(ctx, args, "hset").map(Reply::count),
};

pub(super) const HMSET: CommandSpec = CommandSpec {
    name: "HMSET",
    summary: "Sets the values of multiple fields",
    run: |ctx, args| set(ctx, args, "hmset").map(|_| Reply::Ok),
    ..HSET
};

/// Sets every pair; how many fields are new.
fn set(ctx: &mut Ctx<'_>, args: &Args<'_>, name: &str) -> Result<usize, ErrorReply> {
    let (pairs, []) = args.rest(2).as_chunks() else {
        return Err(ErrorReply::wrong_arity(name));
    };
    let key = args.bytes(1);
    let new = ctx.upsert(key, |hash: &mut Hash| {
        pairs.iter().filter(|[field, value]| hash.set(field, value)).count()
    })?;
    ctx.modified(key, Class::Hash, "hset");
    Ok(new)
}
