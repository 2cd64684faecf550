//! `APPEND key value`, `STRLEN key`, `SETRANGE key offset value`: the length of a string, and growing it.
//!
//! Reference: <https://redis.io/commands/append/>, <https://redis.io/commands/strlen/>,
//! <https://redis.io/commands/setrange/>. A gap is filled with zero bytes.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    value::{Kind, Text},
};

pub(super) const APPEND: CommandSpec = CommandSpec {
    name: "APPEND",
    summary: "Appends a string to the value of a key",
    since: "2.0.0",
    complexity: "O(1), as the memory of a growing string doubles",
    group: Group::String,
    arity: Arity::exactly(3),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: append,
};

pub(super) const STRLEN: CommandSpec = CommandSpec {
    name: "STRLEN",
    summary: "Returns the length of a string value",
    since: "2.2.0",
    complexity: "O(1)",
    arity: Arity::exactly(2),
    flags: Flags::READONLY.and(Flags::FAST),
    run: strlen,
    ..APPEND
};

pub(super) const SETRANGE: CommandSpec = CommandSpec {
    name: "SETRANGE",
    summary: "Overwrites a part of a string value with another by an offset",
    since: "2.2.0",
    complexity: "O(M) where M is the length of the value",
    arity: Arity::exactly(4),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    run: setrange,
    ..APPEND
};

/// The length at `key`, 0 for an absent one.
fn length(ctx: &mut Ctx<'_>, key: &[u8]) -> Result<usize, ErrorReply> {
    Ok(ctx.read::<Text>(key)?.map_or(0, Text::len))
}

fn strlen(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    Ok(Reply::count(length(ctx, args.bytes(1))?))
}

fn append(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (key, tail) = (args.bytes(1), args.bytes(2));
    let old = length(ctx, key)?;
    ctx.check_string_length(old, tail.len())?;
    let grown = ctx.update(key, |text: &mut Text| {
        text.edit().extend_from_slice(tail);
        text.len()
    })?;
    if grown.is_none() {
        ctx.put(key, Text::new(tail).into_value(), None);
    }
    ctx.modified(key, Class::String, "append");
    Ok(Reply::count(grown.unwrap_or(tail.len())))
}

fn setrange(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (key, patch) = (args.bytes(1), args.bytes(3));
    let offset = args.int(2)?;
    let offset = usize::try_from(offset).map_err(|_| ErrorReply::new("ERR offset is out of range"))?;
    let old = length(ctx, key)?;
    if patch.is_empty() {
        return Ok(Reply::count(old));
    }
    ctx.check_string_length(offset, patch.len())?;
    let end = offset + patch.len();
    let len = ctx.upsert(key, |text: &mut Text| {
        let bytes = text.edit();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[offset..end].copy_from_slice(patch);
        bytes.len()
    })?;
    ctx.modified(key, Class::String, "setrange");
    Ok(Reply::count(len))
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn strings_grow_and_gaps_are_zero() {
        Shell::new().check(
            r#"
            APPEND k ab => (int) 2
            APPEND k cd => (int) 4
            STRLEN k => (int) 4
            STRLEN none => (int) 0
            SETRANGE k 1 XY => (int) 4
            GET k => "aXYd"
            SETRANGE k 6 z => (int) 7
            GET k => "aXYd\x00\x00z"
            SETRANGE none 5 "" => (int) 0
            EXISTS none => (int) 0
            "#,
        );
    }

    #[test]
    fn a_string_has_a_longest_length() {
        Shell::new().check(
            r"
            SETRANGE k -1 x => ERR offset is out of range
            SETRANGE k x y => ERR value is not an integer or out of range
            SETRANGE k 536870911 x => (int) 536870912
            SETRANGE k 536870912 x => ERR string exceeds maximum allowed size (proto-max-bulk-len)
            SETRANGE k 9223372036854775807 x => ERR string exceeds maximum allowed size (proto-max-bulk-len)
            APPEND k x => ERR string exceeds maximum allowed size (proto-max-bulk-len)
            ",
        );
    }

    #[test]
    fn an_edited_string_is_raw() {
        Shell::new().check(
            r#"
            APPEND k 1 => (int) 1
            OBJECT ENCODING k => "int"
            APPEND k 2 => (int) 2
            OBJECT ENCODING k => "raw"
            INCR k => (int) 13
            OBJECT ENCODING k => "int"
            "#,
        );
    }
}
