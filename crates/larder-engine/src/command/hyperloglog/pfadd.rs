//! `PFADD key [element ...]`: adds elements; answers whether the count may have changed.
//!
//! Reference: <https://redis.io/commands/pfadd/>.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    value::{Kind, Text, hyperloglog},
};

pub(super) const PFADD: CommandSpec = CommandSpec {
    name: "PFADD",
    summary: "Adds elements to a HyperLogLog key",
    since: "2.8.9",
    complexity: "O(1) to add every element",
    group: Group::HyperLogLog,
    arity: Arity::at_least(2),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: pfadd,
};

fn pfadd(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let key = args.bytes(1);
    let is_new = super::read(ctx, key)?.is_none();
    if is_new {
        create(ctx, key);
    }
    let added = ctx.update(key, |text: &mut Text| {
        let bytes = text.edit();
        let mut changed = false;
        for element in args.rest(2) {
            changed |= hyperloglog::add(bytes, element)?;
        }
        if changed || is_new {
            hyperloglog::invalidate(bytes);
        }
        Ok(changed)
    })?;
    let changed = added
        .unwrap_or(Ok(false))
        .map_err(|_: hyperloglog::Corrupt| ErrorReply::CORRUPT_HYPERLOGLOG)?;
    if changed || is_new {
        ctx.modified(key, Class::String, "pfadd");
    }
    Ok(Reply::from(changed || is_new))
}

/// Puts one without elements.
pub(super) fn create(ctx: &mut Ctx<'_>, key: &[u8]) {
    let mut text = Text::default();
    *text.edit() = hyperloglog::empty();
    ctx.put(key, text.into_value(), None);
}
