//! `GETDEL key`: the string at `key`, then the key is removed.
//!
//! Reference: <https://redis.io/commands/getdel/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    value::Text,
};

pub(super) const GETDEL: CommandSpec = CommandSpec {
    name: "GETDEL",
    summary: "Returns the string value of a key after deleting the key",
    since: "6.2.0",
    complexity: "O(1)",
    group: Group::String,
    arity: Arity::exactly(2),
    flags: Flags::WRITE.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: getdel,
};

fn getdel(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let key = args.bytes(1);
    let Some(text) = ctx.read::<Text>(key)? else {
        return Ok(Reply::Null);
    };
    let reply = Reply::bulk(text.bytes());
    ctx.remove(key);
    ctx.modified(key, Class::Generic, "del");
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn the_value_comes_back_and_the_key_is_gone() {
        Shell::new().check(
            r#"
            SET k v => OK
            GETDEL k => "v"
            GETDEL k => nil
            HSET h f v => (int) 1
            GETDEL h => WRONGTYPE Operation against a key holding the wrong kind of value
            EXISTS h => (int) 1
            "#,
        );
    }
}
