//! `GET key` and `MGET key [key ...]`: strings, or null where there is none.
//!
//! Reference: <https://redis.io/commands/get/>, <https://redis.io/commands/mget/>. For `MGET` a key of another
//! type counts as absent.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    value::Text,
};

pub(super) const GET: CommandSpec = CommandSpec {
    name: "GET",
    summary: "Returns the string value of a key",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::String,
    arity: Arity::exactly(2),
    flags: Flags::READONLY.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: get,
};

pub(super) const MGET: CommandSpec = CommandSpec {
    name: "MGET",
    summary: "Atomically returns the string values of one or more keys",
    complexity: "O(N) where N is the number of keys to retrieve",
    arity: Arity::at_least(2),
    keys: KeySpec::all(),
    run: mget,
    ..GET
};

fn get(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    Ok(Reply::bulk_or_null(ctx.read::<Text>(args.bytes(1))?.map(Text::bytes)))
}

fn mget(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let mut values = Vec::with_capacity(args.len() - 1);
    for key in args.rest(1) {
        let text = ctx.read::<Text>(key).ok().flatten();
        values.push(Reply::bulk_or_null(text.map(Text::bytes)));
    }
    Ok(Reply::Array(values))
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn mget_takes_a_key_of_another_type_for_absent() {
        Shell::new().check(
            r#"
            SET a 1 => OK
            HSET h f v => (int) 1
            MGET a none h a => ["1" nil nil "1"]
            GET h => WRONGTYPE Operation against a key holding the wrong kind of value
            GET => ERR wrong number of arguments for 'get' command
            "#,
        );
    }
}
