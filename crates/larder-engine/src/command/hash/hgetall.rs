//! `HGETALL key`, `HKEYS key`, `HVALS key`: everything in a hash, its fields alone, its values alone.
//!
//! Reference: <https://redis.io/commands/hgetall/>, <https://redis.io/commands/hkeys/>,
//! <https://redis.io/commands/hvals/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    value::Hash,
};

pub(super) const HGETALL: CommandSpec = CommandSpec {
    name: "HGETALL",
    summary: "Returns all fields and values in a hash",
    since: "2.0.0",
    complexity: "O(N) where N is the size of the hash",
    group: Group::Hash,
    arity: Arity::exactly(2),
    flags: Flags::READONLY,
    keys: KeySpec::first(),
    subcommands: &[],
    run: hgetall,
};

pub(super) const HKEYS: CommandSpec = CommandSpec {
    name: "HKEYS",
    summary: "Returns all fields in a hash",
    run: |ctx, args| list(ctx, args, |(field, _)| field),
    ..HGETALL
};

pub(super) const HVALS: CommandSpec = CommandSpec {
    name: "HVALS",
    summary: "Returns all values in a hash",
    run: |ctx, args| list(ctx, args, |(_, value)| value),
    ..HGETALL
};

fn hgetall(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let pairs = ctx.read::<Hash>(args.bytes(1))?.map(|hash| {
        hash.iter()
            .map(|(field, value)| (Reply::bulk(field), Reply::bulk(value)))
            .collect()
    });
    Ok(Reply::Map(pairs.unwrap_or_default()))
}

/// Takes the field or the value of a pair.
type Side = for<'a> fn((&'a [u8], &'a [u8])) -> &'a [u8];

fn list(ctx: &mut Ctx<'_>, args: &Args<'_>, side: Side) -> CommandResult {
    let hash = ctx.read::<Hash>(args.bytes(1))?;
    Ok(Reply::bulks(hash.into_iter().flat_map(Hash::iter).map(side)))
}
