//! `PFCOUNT key [key ...]`: how many different elements were added, to one or to any of several.
//!
//! Reference: <https://redis.io/commands/pfcount/>. The count of one key is kept in it, so that reading may change the
//! string; the log has that too, as Redis's has.

use super::pfadd::PFADD;
use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, KeySpec},
    ctx::Ctx,
    value::{
        Text,
        hyperloglog::{self, Registers},
    },
};

pub(super) const PFCOUNT: CommandSpec = CommandSpec {
    name: "PFCOUNT",
    summary: "Returns the approximated cardinality of the set(s) observed by the HyperLogLog key(s)",
    complexity: "O(1) with a very small average constant time when called with a single key. O(N) with N being the number of keys, and much bigger constant times, when called with multiple keys",
    arity: Arity::at_least(2),
    flags: Flags::READONLY,
    keys: KeySpec::all(),
    run: pfcount,
    ..PFADD
};

fn pfcount(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    match args.rest(1) {
        [key] => count_one(ctx, key),
        keys => count_all(ctx, keys),
    }
}

fn count_all(ctx: &mut Ctx<'_>, keys: &[&[u8]]) -> CommandResult {
    let mut registers = Registers::default();
    for key in keys {
        if let Some(bytes) = super::read(ctx, key)? {
            registers.merge(bytes).map_err(|_| ErrorReply::CORRUPT_HYPERLOGLOG)?;
        }
    }
    Ok(Reply::Int(registers.count() as i64))
}

fn count_one(ctx: &mut Ctx<'_>, key: &[u8]) -> CommandResult {
    let Some(bytes) = super::read(ctx, key)? else {
        return Ok(Reply::Int(0));
    };
    let known = hyperloglog::known_count(bytes);
    let db = ctx.db;
    if known.is_none() {
        ctx.core.keep_before_change(db, std::iter::once(key));
    }
    let counted = ctx.update(key, |text: &mut Text| {
        let bytes = text.edit();
        known.map_or_else(|| hyperloglog::count(bytes), Ok)
    })?;
    let count = counted.unwrap_or(Ok(0)).map_err(|_| ErrorReply::CORRUPT_HYPERLOGLOG)?;
    if known.is_none() {
        ctx.tell(&[b"PFCOUNT", key]);
        ctx.modified_silently(key);
    }
    Ok(Reply::Int(count as i64))
}
