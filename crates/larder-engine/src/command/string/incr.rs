//! `INCR`, `DECR`, `INCRBY`, `DECRBY`: a number in a string, changed in one step; absent counts as 0.
//!
//! Reference: <https://redis.io/commands/incrby/>. The deadline stays.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec, parse_int},
    ctx::Ctx,
    notify::Class,
    value::{Kind, Text},
};

pub(super) const INCR: CommandSpec = CommandSpec {
    name: "INCR",
    summary: "Increments the integer value of a key by one",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::String,
    arity: Arity::exactly(2),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: |ctx, args| add(ctx, args.bytes(1), 1),
};

pub(super) const DECR: CommandSpec = CommandSpec {
    name: "DECR",
    summary: "Decrements the integer value of a key by one",
    run: |ctx, args| add(ctx, args.bytes(1), -1),
    ..INCR
};

pub(super) const INCRBY: CommandSpec = CommandSpec {
    name: "INCRBY",
    summary: "Increments the integer value of a key by a number",
    arity: Arity::exactly(3),
    run: |ctx, args| add(ctx, args.bytes(1), args.int(2)?),
    ..INCR
};

pub(super) const DECRBY: CommandSpec = CommandSpec {
    name: "DECRBY",
    summary: "Decrements a number from the integer value of a key",
    run: decrby,
    ..INCRBY
};

fn decrby(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let amount = args
        .int(2)?
        .checked_neg()
        .ok_or_else(|| ErrorReply::new("ERR decrement would overflow"))?;
    add(ctx, args.bytes(1), amount)
}

fn add(ctx: &mut Ctx<'_>, key: &[u8], amount: i64) -> CommandResult {
    let known = ctx.update(key, |text: &mut Text| {
        let sum = parse_int(text.bytes())
            .ok_or(ErrorReply::NOT_INTEGER)?
            .checked_add(amount)
            .ok_or(ErrorReply::OVERFLOW)?;
        *text = digits(sum);
        Ok(sum)
    })?;
    let sum = match known {
        Some(sum) => sum?,
        None => {
            ctx.put(key, digits(amount).into_value(), None);
            amount
        }
    };
    ctx.modified(key, Class::String, "incrby");
    Ok(Reply::Int(sum))
}

fn digits(number: i64) -> Text {
    Text::new(itoa::Buffer::new().format(number))
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn counting_starts_at_zero_and_keeps_the_deadline() {
        Shell::new().check(
            r#"
            INCR k => (int) 1
            INCRBY k 41 => (int) 42
            PEXPIRE k 1000 => (int) 1
            DECR k => (int) 41
            DECRBY k 40 => (int) 1
            PTTL k => (int) 1000
            GET k => "1"
            "#,
        );
    }

    #[test]
    fn what_is_no_integer_or_would_overflow_is_refused() {
        Shell::new().check(
            r"
            SET k 9223372036854775807 => OK
            INCR k => ERR increment or decrement would overflow
            DECRBY k -9223372036854775808 => ERR decrement would overflow
            INCRBY k 1.5 => ERR value is not an integer or out of range
            SET t 01 => OK
            INCR t => ERR value is not an integer or out of range
            SET t abc => OK
            INCR t => ERR value is not an integer or out of range
            HSET h f v => (int) 1
            INCR h => WRONGTYPE Operation against a key holding the wrong kind of value
            ",
        );
    }
}
