//! `COMMAND GETKEYS command arg ...`, `COMMAND GETKEYSANDFLAGS ..`: the keys of a command given in full.
//!
//! Reference: <https://redis.io/commands/command-getkeys/>.

use super::INFO;
use crate::{
    ErrorReply, Reply,
    command::{
        self, Args, Arity, CommandResult, CommandSpec, Group, KeySpec,
        info::{key_access, keys_of},
    },
    ctx::Ctx,
    dispatch,
};

pub(super) const GETKEYS: CommandSpec = CommandSpec {
    name: "COMMAND|GETKEYS",
    summary: "Extracts the key names from an arbitrary command",
    complexity: "O(N) where N is the number of arguments to the command",
    arity: Arity::at_least(4),
    run: keys,
    ..INFO
};

pub(super) const GETKEYSANDFLAGS: CommandSpec = CommandSpec {
    name: "COMMAND|GETKEYSANDFLAGS",
    summary: "Extracts the key names and access flags for an arbitrary command",
    since: "7.0.0",
    run: keys_and_flags,
    ..GETKEYS
};

fn keys(_: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (_, keys) = find(args)?;
    Ok(Reply::bulks(keys))
}

fn keys_and_flags(_: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (spec, keys) = find(args)?;
    let flags: Vec<Reply> = key_access(spec).into_iter().map(Reply::status).collect();
    let pairs = keys
        .into_iter()
        .map(|key| Reply::Array(vec![Reply::bulk(key), Reply::Set(flags.clone())]));
    Ok(Reply::Array(pairs.collect()))
}

fn find<'a>(args: &Args<'a>) -> Result<(&'static CommandSpec, Vec<&'a [u8]>), ErrorReply> {
    let command = args.rest(2);
    let found = dispatch::find(command);
    if let Err(error) = &found
        && error.as_str().starts_with("ERR unknown")
    {
        return Err(ErrorReply::new("ERR Invalid command specified"));
    }
    let known = command::find(command[0]).map(command::Command::spec);
    if known.is_some_and(|spec| spec.subcommands.is_empty() && matches!(spec.keys, KeySpec::None)) {
        return Err(ErrorReply::new("ERR The command has no key arguments"));
    }
    let spec = found
        .map_err(|_| ErrorReply::new("ERR Invalid number of arguments specified for command"))?
        .spec();
    let keys = keys_of(spec, command);
    // Scripts alone may do without keys.
    if keys.is_empty() && spec.group != Group::Scripting {
        return Err(ErrorReply::new("ERR Invalid arguments specified for command"));
    }
    Ok((spec, keys))
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn keys_are_found_by_the_spec() {
        Shell::new().check(
            r#"
            COMMAND GETKEYS DEL a b => ["a" "b"]
            COMMAND GETKEYS EVAL "return 1" 2 a b c => ["a" "b"]
            COMMAND GETKEYS GET => ERR wrong number of arguments for 'command|getkeys' command
            COMMAND GETKEYSANDFLAGS HGET a f => [["a" {RO access}]]
            COMMAND GETKEYS nosuch a => ERR Invalid command specified
            COMMAND GETKEYS GET a b => ERR Invalid number of arguments specified for command
            COMMAND GETKEYS EVAL "return 1" 0 => []
            COMMAND GETKEYS ZUNION 0 a => ERR Invalid arguments specified for command
            COMMAND GETKEYS PUBLISH a b => ERR The command has no key arguments
            "#,
        );
    }
}
