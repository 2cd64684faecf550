//! `BITOP AND | OR | XOR | NOT destination key [key ...]`: strings combined bit by bit; shorter ones count as padded
//! with zeros.
//!
//! Reference: <https://redis.io/commands/bitop/>.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    value::{Kind, Text},
};

pub(super) const BITOP: CommandSpec = CommandSpec {
    name: "BITOP",
    summary: "Performs bitwise operations on multiple strings, and stores the result",
    since: "2.6.0",
    complexity: "O(N)",
    group: Group::Bitmap,
    arity: Arity::at_least(4),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    keys: KeySpec::Range {
        first: 2,
        last: -1,
        step: 1,
    },
    subcommands: &[],
    run: bitop,
};

fn bitop(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let combine: fn(u8, u8) -> u8 = match () {
        () if args.is(1, "AND") => |a, b| a & b,
        () if args.is(1, "OR") => |a, b| a | b,
        () if args.is(1, "XOR") => |a, b| a ^ b,
        () if args.is(1, "NOT") => |a, _| a,
        () => return Err(ErrorReply::SYNTAX),
    };
    let inverts = args.is(1, "NOT");
    if inverts && args.len() != 4 {
        let text = "ERR BITOP NOT must be called with a single source key.";
        return Err(ErrorReply::new(text));
    }
    let mut sources = Vec::with_capacity(args.len() - 3);
    for key in args.rest(3) {
        sources.push(ctx.read::<Text>(key)?.map_or(&[][..], Text::bytes).to_vec());
    }
    let len = sources.iter().map(Vec::len).max().unwrap_or(0);
    sources.iter_mut().for_each(|source| source.resize(len, 0));
    let (mut result, others) = (sources.remove(0), sources);
    for source in others {
        result
            .iter_mut()
            .zip(source)
            .for_each(|(sum, byte)| *sum = combine(*sum, byte));
    }
    if inverts {
        result.iter_mut().for_each(|byte| *byte = !*byte);
    }
    store(ctx, args.bytes(2), result);
    Ok(Reply::count(len))
}

fn store(ctx: &mut Ctx<'_>, key: &[u8], result: Vec<u8>) {
    if result.is_empty() {
        if ctx.remove(key).is_some() {
            ctx.modified(key, Class::Generic, "del");
        }
        return;
    }
    let mut text = Text::default();
    *text.edit() = result;
    ctx.put(key, text.into_value(), None);
    ctx.modified(key, Class::String, "set");
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn strings_are_combined_and_stored() {
        Shell::new().check(
            r#"
            MSET a "\x0f\xff" b "\x3c" => OK
            BITOP AND d a b => (int) 2
            GET d => "\x0c\x00"
            BITOP OR d a b none => (int) 2
            GET d => "?\xff"
            BITOP XOR d a b => (int) 2
            GET d => "3\xff"
            BITOP NOT d a => (int) 2
            GET d => "\xf0\x00"
            BITOP AND d none => (int) 0
            EXISTS d => (int) 0
            BITOP NOT d a b => ERR BITOP NOT must be called with a single source key.
            BITOP NAND d a => ERR syntax error
            "#,
        );
    }
}
