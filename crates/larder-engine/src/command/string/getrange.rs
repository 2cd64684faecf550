//! `GETRANGE key start end`, formerly `SUBSTR`: the bytes from `start` to `end`, both included; negative positions
//! count from the end.
//!
//! Reference: <https://redis.io/commands/getrange/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    value::Text,
};

pub(super) const GETRANGE: CommandSpec = CommandSpec {
    name: "GETRANGE",
    summary: "Returns a substring of the string stored at a key",
    since: "2.4.0",
    complexity: "O(N) where N is the length of the returned string",
    group: Group::String,
    arity: Arity::exactly(4),
    flags: Flags::READONLY,
    keys: KeySpec::first(),
    subcommands: &[],
    run: getrange,
};

pub(super) const SUBSTR: CommandSpec = CommandSpec {
    name: "SUBSTR",
    summary: "Returns a substring from a string value",
    since: "1.0.0",
    ..GETRANGE
};

fn getrange(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (start, end) = (args.int(2)?, args.int(3)?);
    let bytes = ctx.read::<Text>(args.bytes(1))?.map_or(&[][..], Text::bytes);
    Ok(Reply::bulk(
        positions(start, end, bytes.len()).map_or(&[][..], |range| &bytes[range]),
    ))
}

/// The positions from `start` to `end` among `len`, clipped; `None` if there are none.
pub(super) fn positions(start: i64, end: i64, len: usize) -> Option<std::ops::RangeInclusive<usize>> {
    if start < 0 && end < 0 && start > end {
        return None;
    }
    let len = len as i64;
    let from_end = |at: i64| if at < 0 { at.saturating_add(len).max(0) } else { at };
    let (start, end) = (from_end(start), from_end(end).min(len - 1));
    (start <= end && len > 0).then_some(start as usize..=end as usize)
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn positions_count_from_either_end_and_are_clipped() {
        Shell::new().check(
            r#"
            SET k "This is a string" => OK
            GETRANGE k 0 3 => "This"
            GETRANGE k -3 -1 => "ing"
            GETRANGE k 0 -1 => "This is a string"
            GETRANGE k 10 100 => "string"
            SUBSTR k -100 0 => "T"
            GETRANGE k -1 -5 => ""
            GETRANGE k 5 2 => ""
            GETRANGE k -100 -50 => "T"
            GETRANGE k 0 -9223372036854775808 => "T"
            GETRANGE none 0 -1 => ""
            GETRANGE k a 1 => ERR value is not an integer or out of range
            "#,
        );
    }
}
