//! `TYPE key`: the name of the type, `none` for an absent key.
//!
//! Reference: <https://redis.io/commands/type/>.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
};

pub(super) const TYPE: CommandSpec = CommandSpec {
    name: "TYPE",
    summary: "Determines the type of value stored at a key",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Generic,
    arity: Arity::exactly(2),
    flags: Flags::READONLY.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: kind,
};

fn kind(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let name = ctx.peek(args.bytes(1)).map_or("none", |entry| entry.value.type_name());
    Ok(Reply::status(name))
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn the_type_is_named() {
        Shell::new()
            .check("TYPE k => none\n SET k v => OK\n TYPE k => string\n HSET h f v => (int) 1\n TYPE h => hash");
    }
}
