//! `INCRBYFLOAT key increment`: adds to the number in a string, computed as Redis does it.
//!
//! Reference: <https://redis.io/commands/incrbyfloat/>.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    number::LongDouble,
    value::{Kind, Text},
};

pub(super) const INCRBYFLOAT: CommandSpec = CommandSpec {
    name: "INCRBYFLOAT",
    summary: "Increments the floating point value of a key by a number",
    since: "2.6.0",
    complexity: "O(1)",
    group: Group::String,
    arity: Arity::exactly(3),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: incrbyfloat,
};

fn incrbyfloat(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let key = args.bytes(1);
    let known = ctx.update(key, |text: &mut Text| {
        let sum = add(text.bytes(), args.bytes(2))?;
        *text = Text::computed(sum.as_bytes());
        Ok(sum)
    })?;
    let sum = match known {
        Some(sum) => sum?,
        None => {
            let sum = add(b"0", args.bytes(2))?;
            ctx.put(key, Text::computed(sum.as_bytes()).into_value(), None);
            sum
        }
    };
    ctx.tell(&[b"SET", key, sum.as_bytes(), b"KEEPTTL"]);
    ctx.modified(key, Class::String, "incrbyfloat");
    Ok(Reply::bulk(sum))
}

fn add(old: &[u8], by: &[u8]) -> Result<String, ErrorReply> {
    let old = LongDouble::parse(old).ok_or(ErrorReply::NOT_FLOAT)?;
    let by = LongDouble::parse(by).ok_or(ErrorReply::NOT_FLOAT)?;
    let sum = old.checked_add(by).filter(|sum| !sum.is_infinite());
    Ok(sum.ok_or(ErrorReply::NAN_OR_INFINITY)?.to_string())
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn sums_are_those_of_a_long_double() {
        Shell::new().check(
            r#"
            INCRBYFLOAT k 10.5 => "10.5"
            INCRBYFLOAT k 0.1 => "10.6"
            INCRBYFLOAT k -5 => "5.6"
            OBJECT ENCODING k => "embstr"
            SET k 5.0e3 => OK
            INCRBYFLOAT k 2.0e2 => "5200"
            INCRBYFLOAT k x => ERR value is not a valid float
            INCRBYFLOAT k inf => ERR increment would produce NaN or Infinity
            INCRBYFLOAT none inf => ERR increment would produce NaN or Infinity
            EXISTS none => (int) 0
            SET t abc => OK
            INCRBYFLOAT t 1 => ERR value is not a valid float
            "#,
        );
    }
}
