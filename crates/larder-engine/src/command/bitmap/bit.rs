//! `SETBIT key offset 0|1`, `GETBIT key offset`: single bits of a string, the most significant of a byte first.
//!
//! Reference: <https://redis.io/commands/setbit/>.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    value::Text,
};

pub(super) const SETBIT: CommandSpec = CommandSpec {
    name: "SETBIT",
    summary: "Sets or clears the bit at offset of the string value",
    since: "2.2.0",
    complexity: "O(1)",
    group: Group::Bitmap,
    arity: Arity::exactly(4),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    keys: KeySpec::first(),
    subcommands: &[],
    run: setbit,
};

pub(super) const GETBIT: CommandSpec = CommandSpec {
    name: "GETBIT",
    summary: "Returns a bit value by offset",
    arity: Arity::exactly(3),
    flags: Flags::READONLY.and(Flags::FAST),
    run: getbit,
    ..SETBIT
};

/// The byte and the mask of the bit at argument 2.
fn place(ctx: &Ctx<'_>, args: &Args<'_>) -> Result<(usize, u8), ErrorReply> {
    const FIRST: u8 = 0b1000_0000;
    let offset = args.int(2).ok().and_then(|offset| usize::try_from(offset).ok());
    let byte = offset.filter(|offset| offset / 8 < ctx.core.settings.wire.bulk_max);
    let offset = byte.ok_or(ErrorReply::new("ERR bit offset is not an integer or out of range"))?;
    Ok((offset / 8, FIRST >> (offset % 8)))
}

fn setbit(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (byte, mask) = place(ctx, args)?;
    let on = match args.int(3) {
        Ok(bit @ 0..=1) => bit == 1,
        _ => return Err(ErrorReply::new("ERR bit is not an integer or out of range")),
    };
    let absent = !ctx.exists(args.bytes(1));
    let (was_on, grew) = ctx.upsert(args.bytes(1), |text: &mut Text| {
        let bytes = text.edit();
        let grew = bytes.len() <= byte;
        if grew {
            bytes.resize(byte + 1, 0);
        }
        let was_on = bytes[byte] & mask != 0;
        bytes[byte] = if on { bytes[byte] | mask } else { bytes[byte] & !mask };
        (was_on, grew)
    })?;
    // A bit that is set to what it was is no change.
    if absent || grew || was_on != on {
        ctx.modified(args.bytes(1), Class::String, "setbit");
    }
    Ok(was_on.into())
}

fn getbit(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (byte, mask) = place(ctx, args)?;
    let bytes = ctx.read::<Text>(args.bytes(1))?.map_or(&[][..], Text::bytes);
    let on = bytes.get(byte).is_some_and(|byte| byte & mask != 0);
    Ok(Reply::from(on))
}

#[cfg(test)]
mod tests {
    use crate::testing::{Shell, check};

    #[test]
    fn bits_are_set_and_read_and_the_string_grows() {
        Shell::new().check(
            r#"
            SETBIT k 7 1 => (int) 0
            GET k => "\x01"
            SETBIT k 7 0 => (int) 1
            SETBIT k 17 1 => (int) 0
            GET k => "\x00\x00@"
            GETBIT k 17 => (int) 1
            GETBIT k 1000 => (int) 0
            SETBIT k -1 1 => ERR bit offset is not an integer or out of range
            SETBIT k 4294967296 1 => ERR bit offset is not an integer or out of range
            SETBIT k 1 2 => ERR bit is not an integer or out of range
            "#,
        );
    }

    #[test]
    fn a_bit_that_stays_is_no_change() {
        let shell = Shell::new();
        shell.run("SETBIT k 1 1");
        let watcher = shell.engine.connect();
        check(&watcher, "WATCH k => OK\n MULTI => OK");
        shell.run("SETBIT k 1 1");
        check(&watcher, "EXEC => []");
    }
}
