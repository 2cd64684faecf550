//! `PFMERGE destination [source ...]`: a HyperLogLog of all elements of several.
//!
//! Reference: <https://redis.io/commands/pfmerge/>.

use super::pfadd::{PFADD, create};
use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, KeySpec},
    ctx::Ctx,
    notify::Class,
    value::{
        Text,
        hyperloglog::{self, Registers},
    },
};

pub(super) const PFMERGE: CommandSpec = CommandSpec {
    name: "PFMERGE",
    summary: "Merges one or more HyperLogLog values into a single key",
    complexity: "O(N) to merge N HyperLogLogs, but with high constant times",
    arity: Arity::at_least(2),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    keys: KeySpec::all(),
    run: pfmerge,
    ..PFADD
};

fn pfmerge(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let corrupt = |_| ErrorReply::CORRUPT_HYPERLOGLOG;
    let (mut registers, mut is_dense) = (Registers::default(), false);
    for key in args.rest(1) {
        if let Some(bytes) = super::read(ctx, key)? {
            is_dense |= hyperloglog::is_dense(bytes);
            registers.merge(bytes).map_err(corrupt)?;
        }
    }
    let key = args.bytes(1);
    if !ctx.exists(key) {
        create(ctx, key);
    }
    let merged = ctx.update(key, |text: &mut Text| {
        let bytes = text.edit();
        if is_dense {
            hyperloglog::make_dense(bytes)?;
        }
        registers.write(bytes)
    })?;
    merged.unwrap_or(Ok(())).map_err(corrupt)?;
    // As Redis: it is a mass of additions.
    ctx.modified(key, Class::String, "pfadd");
    Ok(Reply::Ok)
}
