//! `BITFIELD key [GET type offset] [SET type offset value] [INCRBY type offset increment] [OVERFLOW WRAP|SAT|FAIL] ...`: integers of
//! any width in a string. `BITFIELD_RO` only reads.
//!
//! Reference: <https://redis.io/commands/bitfield/>.

use super::{
    bit::SETBIT,
    field::{Field, Overflow},
};
use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, parse_int},
    ctx::Ctx,
    notify::Class,
    value::Text,
};

pub(super) const BITFIELD: CommandSpec = CommandSpec {
    name: "BITFIELD",
    summary: "Performs arbitrary bitfield integer operations on strings",
    since: "3.2.0",
    complexity: "O(1) for each subcommand specified",
    arity: Arity::at_least(2),
    run: |ctx, args| bitfield(ctx, args, false),
    ..SETBIT
};

pub(super) const BITFIELD_RO: CommandSpec = CommandSpec {
    name: "BITFIELD_RO",
    summary: "Performs arbitrary read-only bitfield integer operations on strings",
    since: "6.0.0",
    flags: Flags::READONLY.and(Flags::FAST),
    run: |ctx, args| bitfield(ctx, args, true),
    ..BITFIELD
};

#[derive(Clone, Copy)]
enum Action {
    Get,
    Set(i64),
    Increment(i64),
}

struct Operation {
    field: Field,
    /// The number of its first bit.
    offset: usize,
    action: Action,
    overflow: Overflow,
}

fn bitfield(ctx: &mut Ctx<'_>, args: &Args<'_>, read_only: bool) -> CommandResult {
    let operations = operations(ctx, args)?;
    let key = args.bytes(1);
    let writes = operations
        .iter()
        .filter(|operation| !matches!(operation.action, Action::Get));
    let Some(end) = writes.map(|operation| operation.offset + operation.field.bits).max() else {
        let bytes = ctx.read::<Text>(key)?.map_or(&[][..], Text::bytes);
        let values = operations
            .iter()
            .map(|one| Reply::Int(one.field.get(bytes, one.offset)));
        return Ok(Reply::Array(values.collect()));
    };
    if read_only {
        return Err(ErrorReply::new("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    let absent = !ctx.exists(key);
    let (replies, grew, changed) = ctx.upsert(key, |text: &mut Text| {
        let bytes = text.edit();
        let grew = absent || bytes.len() < end.div_ceil(8);
        bytes.resize(bytes.len().max(end.div_ceil(8)), 0);
        let (mut changed, mut replies) = (false, Vec::with_capacity(operations.len()));
        for operation in &operations {
            let (reply, wrote) = operation.run(bytes);
            changed |= wrote.is_some_and(|differs| differs || grew);
            replies.push(reply);
        }
        (replies, grew, changed)
    })?;
    if changed {
        ctx.modified(key, Class::String, "setbit");
    } else if grew {
        // Nothing was written, for all of it overflowed: only the room was made.
        ctx.modified_beside(key, Class::String, None);
    }
    Ok(Reply::Array(replies))
}

impl Operation {
    /// The reply, and if it wrote, whether that made a difference.
    fn run(&self, bytes: &mut [u8]) -> (Reply, Option<bool>) {
        let before = self.field.get(bytes, self.offset);
        let (value, shows_new) = match self.action {
            Action::Get => return (Reply::Int(before), None),
            Action::Set(value) => (self.field.fit(value, self.overflow), false),
            Action::Increment(by) => (self.field.add(before, by, self.overflow), true),
        };
        let Some(value) = value else {
            return (Reply::Null, None);
        };
        self.field.set(bytes, self.offset, value);
        (
            Reply::Int(if shows_new { value } else { before }),
            Some(value != before),
        )
    }
}

fn operations(ctx: &Ctx<'_>, args: &Args<'_>) -> Result<Vec<Operation>, ErrorReply> {
    let (mut operations, mut overflow, mut i) = (Vec::new(), Overflow::Wrap, 2);
    while i < args.len() {
        let left = args.len() - 1 - i;
        if args.is(i, "OVERFLOW") && left >= 1 {
            overflow = Overflow::named(args.bytes(i + 1))
                .ok_or_else(|| ErrorReply::new("ERR Invalid OVERFLOW type specified"))?;
            i += 2;
            continue;
        }
        let writes = match () {
            () if args.is(i, "GET") && left >= 2 => false,
            () if (args.is(i, "SET") || args.is(i, "INCRBY")) && left >= 3 => true,
            () => return Err(ErrorReply::SYNTAX),
        };
        let field = Field::parse(args.bytes(i + 1)).ok_or_else(|| {
            let text =
                "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.";
            ErrorReply::new(text)
        })?;
        let offset = offset(ctx, args.bytes(i + 2), field)?;
        let action = match writes {
            false => Action::Get,
            true if args.is(i, "SET") => Action::Set(args.int(i + 3)?),
            true => Action::Increment(args.int(i + 3)?),
        };
        operations.push(Operation {
            field,
            offset,
            action,
            overflow,
        });
        i += if writes { 4 } else { 3 };
    }
    Ok(operations)
}

/// The number of a bit, or `#` and the number of a field of this width.
fn offset(ctx: &Ctx<'_>, text: &[u8], field: Field) -> Result<usize, ErrorReply> {
    let number = match text {
        [b'#', digits @ ..] => parse_int(digits).map(|number| number.wrapping_mul(field.bits as i64)),
        digits => parse_int(digits),
    };
    let offset = number.and_then(|number| usize::try_from(number).ok());
    offset
        .filter(|offset| offset / 8 < ctx.core.settings.wire.bulk_max)
        .ok_or_else(|| ErrorReply::new("ERR bit offset is not an integer or out of range"))
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn integers_of_any_width_are_kept_in_a_string() {
        Shell::new().check(
            r#"
            BITFIELD k SET u8 0 255 GET u4 0 GET i4 0 => [(int) 0 (int) 15 (int) -1]
            BITFIELD k INCRBY i5 100 1 GET u4 0 => [(int) 1 (int) 15]
            BITFIELD k SET u8 #1 200 GET u8 8 => [(int) 0 (int) 200]
            BITFIELD k OVERFLOW SAT INCRBY u8 #1 100 OVERFLOW FAIL INCRBY u8 #1 1 => [(int) 255 nil]
            BITFIELD k OVERFLOW WRAP INCRBY u8 #1 1 INCRBY i8 0 1 => [(int) 0 (int) 0]
            BITFIELD i SET i64 3 -9223372036854775808 GET i64 3 INCRBY i64 3 -1 => [(int) 0 (int) -9223372036854775808 (int) 9223372036854775807]
            BITFIELD none GET u63 1000 => [(int) 0]
            EXISTS none => (int) 0
            BITFIELD k => []
            BITFIELD k GET u64 0 => ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.
            BITFIELD k GET u8 -1 => ERR bit offset is not an integer or out of range
            BITFIELD_RO k GET u8 0 => [(int) 0]
            BITFIELD_RO k SET u8 0 1 => ERR BITFIELD_RO only supports the GET subcommand
            "#,
        );
    }
}
