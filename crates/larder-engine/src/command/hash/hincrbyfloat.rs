//! `HINCRBYFLOAT key field increment`: adds to the number in a field, 0 if there is none, and answers the sum.
//!
//! Reference: <https://redis.io/commands/hincrbyfloat/>.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    number::LongDouble,
    value::Hash,
};

pub(super) const HINCRBYFLOAT: CommandSpec = CommandSpec {
    name: "HINCRBYFLOAT",
    summary: "Increments the floating point value of a field by a number",
    since: "2.6.0",
    complexity: "O(1)",
    group: Group::Hash,
    arity: Arity::exactly(4),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: hincrbyfloat,
};

fn hincrbyfloat(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (key, field) = (args.bytes(1), args.bytes(2));
    let by = LongDouble::parse(args.bytes(3)).ok_or(ErrorReply::NOT_FLOAT)?;
    if by.is_infinite() {
        return Err(ErrorReply::VALUE_NOT_FINITE);
    }
    let sum = ctx.upsert(key, |hash: &mut Hash| add(hash, field, by))??;
    ctx.tell(&[b"HSET", key, field, sum.as_bytes()]);
    ctx.modified(key, Class::Hash, "hincrbyfloat");
    Ok(Reply::bulk(sum))
}

/// Fails only where the field is there, so never on a hash that was created for it.
fn add(hash: &mut Hash, field: &[u8], by: LongDouble) -> Result<String, ErrorReply> {
    let old = hash.get(field).unwrap_or(b"0");
    let sum = LongDouble::parse(old)
        .ok_or(ErrorReply::HASH_NOT_FLOAT)?
        .checked_add(by)
        .ok_or(ErrorReply::NAN_OR_INFINITY)?
        .to_string();
    hash.set(field, sum.as_bytes());
    Ok(sum)
}
