//! `BITCOUNT key [start end [BYTE | BIT]]`, `BITPOS key bit [start [end [BYTE | BIT]]]`: how many bits are set, and
//! where the first one of a kind is.
//!
//! Reference: <https://redis.io/commands/bitcount/>, <https://redis.io/commands/bitpos/>. To the right of a string all
//! bits count as clear, unless the range has an end.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    value::Text,
};

pub(super) const BITCOUNT: CommandSpec = CommandSpec {
    name: "BITCOUNT",
    summary: "Counts the number of set bits (population counting) in a string",
    since: "2.6.0",
    complexity: "O(N)",
    group: Group::Bitmap,
    arity: Arity::at_least(2),
    flags: Flags::READONLY,
    keys: KeySpec::first(),
    subcommands: &[],
    run: bitcount,
};

pub(super) const BITPOS: CommandSpec = CommandSpec {
    name: "BITPOS",
    summary: "Finds the first set (1) or clear (0) bit in a string",
    since: "2.8.7",
    arity: Arity::at_least(3),
    run: bitpos,
    ..BITCOUNT
};

/// Whether the unit at argument `i`, if it is there, is the bit.
fn counts_bits(args: &Args<'_>, i: usize) -> Result<bool, ErrorReply> {
    match args.len() {
        n if n <= i => Ok(false),
        n if n > i + 1 => Err(ErrorReply::SYNTAX),
        _ if args.is(i, "BIT") => Ok(true),
        _ if args.is(i, "BYTE") => Ok(false),
        _ => Err(ErrorReply::SYNTAX),
    }
}

/// The bits from `start` to `end`, both included and in units of `unit` bits, among those of `len` bytes.
fn bits(start: i64, end: i64, unit: usize, len: usize) -> std::ops::Range<usize> {
    let total = (len * 8 / unit) as i64;
    let from_end = |at: i64| if at < 0 { at.saturating_add(total).max(0) } else { at };
    let (start, end) = (from_end(start), from_end(end).min(total - 1));
    if start > end {
        return 0..0;
    }
    start as usize * unit..(end as usize + 1) * unit
}

const BIT: usize = 1;
const BYTE: usize = 8;

fn bitcount(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let Some(text) = ctx.read::<Text>(args.bytes(1))? else {
        return Ok(Reply::Int(0));
    };
    let bytes = text.bytes();
    let range = match args.len() {
        2 => 0..bytes.len() * BYTE,
        4 | 5 => {
            let (start, end) = (args.int(2)?, args.int(3)?);
            if start < 0 && end < 0 && start > end {
                return Ok(Reply::Int(0));
            }
            let unit = if counts_bits(args, 4)? { BIT } else { BYTE };
            bits(start, end, unit, bytes.len())
        }
        _ => return Err(ErrorReply::SYNTAX),
    };
    Ok(Reply::count(count(bytes, range)))
}

/// The bits that are set in a range of bits.
fn count(bytes: &[u8], range: std::ops::Range<usize>) -> usize {
    let (first, last) = (range.start.div_ceil(BYTE), range.end / BYTE);
    if first > last {
        return range.filter(|at| is_set(bytes, *at)).count();
    }
    let head = (range.start..first * BYTE).filter(|at| is_set(bytes, *at)).count();
    let tail = (last * BYTE..range.end).filter(|at| is_set(bytes, *at)).count();
    let whole: u32 = bytes[first..last].iter().map(|byte| byte.count_ones()).sum();
    head + whole as usize + tail
}

fn is_set(bytes: &[u8], at: usize) -> bool {
    const FIRST: u8 = 0b1000_0000;
    bytes[at / BYTE] & (FIRST >> (at % BYTE)) != 0
}

fn bitpos(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    const NONE: i64 = -1;
    let wanted = match args.int(2)? {
        0 => false,
        1 => true,
        _ => return Err(ErrorReply::new("ERR The bit argument must be 1 or 0.")),
    };
    let Some(text) = ctx.read::<Text>(args.bytes(1))? else {
        return Ok(Reply::Int(if wanted { NONE } else { 0 }));
    };
    let bytes = text.bytes();
    let start = if args.len() > 3 { args.int(3)? } else { 0 };
    let unit = if counts_bits(args, 5)? { BIT } else { BYTE };
    let end = if args.len() > 4 { args.int(4)? } else { -1 };
    let range = bits(start, end, unit, bytes.len());
    if range.is_empty() {
        return Ok(Reply::Int(NONE));
    }
    let end = range.end;
    Ok(match first(bytes, range, wanted) {
        Some(at) => Reply::count(at),
        None if !wanted && args.len() <= 4 => Reply::count(end),
        None => Reply::Int(NONE),
    })
}

/// The first bit of a kind in a range of bits; bytes without one are skipped whole.
fn first(bytes: &[u8], range: std::ops::Range<usize>, wanted: bool) -> Option<usize> {
    let barren = if wanted { 0 } else { u8::MAX };
    let mut at = range.start;
    while at < range.end {
        if at.is_multiple_of(BYTE) && bytes[at / BYTE] == barren {
            at += BYTE;
        } else if is_set(bytes, at) == wanted {
            return Some(at);
        } else {
            at += 1;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn set_bits_are_counted_by_byte_or_bit() {
        Shell::new().check(
            r"
            SET k foobar => OK
            BITCOUNT k => (int) 26
            BITCOUNT k 0 0 => (int) 4
            BITCOUNT k 1 1 BYTE => (int) 6
            BITCOUNT k 5 30 BIT => (int) 17
            BITCOUNT k 1 4 BIT => (int) 2
            BITCOUNT k -2 -1 => (int) 7
            BITCOUNT k -1 -2 FOO => (int) 0
            BITCOUNT k 5 3 => (int) 0
            BITCOUNT k 0 => ERR syntax error
            BITCOUNT k 0 1 FOO => ERR syntax error
            BITCOUNT none a => (int) 0
            ",
        );
    }

    #[test]
    fn the_first_bit_of_a_kind_is_found() {
        Shell::new().check(
            r#"
            SET k "\xff\xf0\x00" => OK
            BITPOS k 0 => (int) 12
            BITPOS k 1 2 => (int) -1
            BITPOS k 1 1 => (int) 8
            BITPOS k 0 9 15 BIT => (int) 12
            BITPOS k 1 -8 -1 BIT => (int) -1
            SET ones "\xff\xff" => OK
            BITPOS ones 0 => (int) 16
            BITPOS ones 0 1 => (int) 16
            BITPOS ones 0 0 -1 => (int) -1
            BITPOS none 0 => (int) 0
            BITPOS none 1 a => (int) -1
            BITPOS k 2 => ERR The bit argument must be 1 or 0.
            BITPOS k 1 0 1 FOO => ERR syntax error
            "#,
        );
    }
}
