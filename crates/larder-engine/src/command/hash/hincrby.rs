//! `HINCRBY key field increment`: adds to the integer in a field, 0 if there is none, and answers the sum.
//!
//! Reference: <https://redis.io/commands/hincrby/>.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec, parse_int},
    ctx::Ctx,
    notify::Class,
    value::Hash,
};

pub(super) const HINCRBY: CommandSpec = CommandSpec {
    name: "HINCRBY",
    summary: "Increments the integer value of a field in a hash by a number",
    since: "2.0.0",
    complexity: "O(1)",
    group: Group::Hash,
    arity: Arity::exactly(4),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: hincrby,
};

fn hincrby(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (key, field) = (args.bytes(1), args.bytes(2));
    let by = args.int(3)?;
    let sum = ctx.upsert(key, |hash: &mut Hash| add(hash, field, by))??;
    ctx.modified(key, Class::Hash, "hincrby");
    Ok(Reply::Int(sum))
}

/// Fails only where the field is there, so never on a hash that was created for it.
fn add(hash: &mut Hash, field: &[u8], by: i64) -> Result<i64, ErrorReply> {
    let old = match hash.get(field) {
        Some(value) => parse_int(value).ok_or(ErrorReply::HASH_NOT_INTEGER)?,
        None => 0,
    };
    let sum = old.checked_add(by).ok_or(ErrorReply::OVERFLOW)?;
    hash.set(field, itoa::Buffer::new().format(sum).as_bytes());
    Ok(sum)
}
