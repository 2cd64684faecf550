//! `EXISTS key [key ...]`, `TOUCH key [key ...]`: how many of the keys are there, counting repeats.
//!
//! Reference: <https://redis.io/commands/exists/>, <https://redis.io/commands/touch/>. Only `TOUCH` counts as use.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
};

pub(super) const EXISTS: CommandSpec = CommandSpec {
    name: "EXISTS",
    summary: "Determines whether one or more keys exist",
    since: "1.0.0",
    complexity: "O(N) where N is the number of keys to check",
    group: Group::Generic,
    arity: Arity::at_least(2),
    flags: Flags::READONLY.and(Flags::FAST),
    keys: KeySpec::all(),
    subcommands: &[],
    run: |ctx, args| count(ctx, args, |ctx, key| ctx.peek(key).is_some()),
};

pub(super) const TOUCH: CommandSpec = CommandSpec {
    name: "TOUCH",
    summary: "Returns the number of existing keys out of those specified after updating the time they were last accessed",
    since: "3.2.1",
    run: |ctx, args| count(ctx, args, |ctx, key| ctx.entry(key).is_some()),
    ..EXISTS
};

fn count(ctx: &mut Ctx<'_>, args: &Args<'_>, is_there: fn(&mut Ctx<'_>, &[u8]) -> bool) -> CommandResult {
    let there = args.rest(1).iter().filter(|key| is_there(ctx, key)).count();
    Ok(Reply::count(there))
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn repeats_count_and_only_touch_is_a_use() {
        let shell = Shell::new();
        shell.check("SET a 1 => OK\n SET b 1 => OK\n EXISTS a a b none => (int) 3");
        shell.advance(5_000);
        shell.check("EXISTS a => (int) 1\n OBJECT IDLETIME a => (int) 5\n TOUCH a none => (int) 1\n OBJECT IDLETIME a => (int) 0");
    }
}
