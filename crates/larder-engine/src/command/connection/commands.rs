//! `COMMAND`: the table of commands, as client libraries and redis-cli ask for it.
//!
//! Reference: <https://redis.io/commands/command/>. Everything is derived from the specs.

mod getkeys;
mod list;

use crate::{
    Reply,
    command::{
        self, Args, Arity, Command, CommandResult, CommandSpec, Flags, Group, KeySpec, help,
        info::{docs, entry},
    },
    ctx::Ctx,
};

pub(super) const COMMAND: CommandSpec = CommandSpec {
    name: "COMMAND",
    summary: "Returns detailed information about all commands",
    since: "2.8.13",
    complexity: "O(N) where N is the total number of Redis commands",
    group: Group::Connection,
    arity: Arity::at_least(1),
    flags: Flags::LOADING.and(Flags::STALE),
    keys: KeySpec::None,
    subcommands: &[
        &COUNT,
        &DOCS,
        &getkeys::GETKEYS,
        &getkeys::GETKEYSANDFLAGS,
        &HELP,
        &INFO,
        &list::LIST,
    ],
    run: |_, _| Ok(Reply::Array(command::all().map(entry).collect())),
};

const COUNT: CommandSpec = CommandSpec {
    name: "COMMAND|COUNT",
    summary: "Returns a count of commands",
    since: "2.8.13",
    group: Group::Connection,
    flags: Flags::LOADING.and(Flags::STALE),
    keys: KeySpec::None,
    complexity: "O(1)",
    arity: Arity::exactly(2),
    subcommands: &[],
    run: |_, _| Ok(Reply::count(command::all().count())),
};

const INFO: CommandSpec = CommandSpec {
    name: "COMMAND|INFO",
    summary: "Returns information about one, multiple or all commands",
    complexity: "O(N) where N is the number of commands to look up",
    arity: Arity::at_least(2),
    run: info,
    ..COUNT
};

const DOCS: CommandSpec = CommandSpec {
    name: "COMMAND|DOCS",
    summary: "Returns documentary information about one, multiple or all commands",
    since: "7.0.0",
    run: describe,
    ..INFO
};

const HELP: CommandSpec = CommandSpec {
    name: "COMMAND|HELP",
    summary: "Returns helpful text about the different subcommands",
    since: "5.0.0",
    run: |_, _| Ok(help("COMMAND", HELP_LINES)),
    ..COUNT
};

const HELP_LINES: &[&str] = &[
    "(no subcommand)",
    "    Return details about all commands.",
    "COUNT",
    "    Return the total number of commands.",
    "LIST [FILTERBY ACLCAT <category>|PATTERN <pattern>|MODULE <module>]",
    "    Return the names of all commands.",
    "INFO [<command-name> ...]",
    "    Return details about commands; about all of them if none is named.",
    "DOCS [<command-name> ...]",
    "    Return documentation of commands; of all of them if none is named.",
    "GETKEYS <full-command>",
    "    Return the keys from a full command.",
    "GETKEYSANDFLAGS <full-command>",
    "    Return the keys and the access flags from a full command.",
];

fn info(_: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let entries = match args.rest(2) {
        [] => command::all().map(entry).collect(),
        names => names
            .iter()
            .map(|name| named(name).map_or(Reply::Null, entry))
            .collect(),
    };
    Ok(Reply::Array(entries))
}

fn describe(_: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let entries = match args.rest(2) {
        [] => command::all().map(docs).collect(),
        names => names.iter().filter_map(|name| named(name)).map(docs).collect(),
    };
    Ok(Reply::Map(entries))
}

/// The command of this name, a subcommand as `client|id`.
fn named(name: &[u8]) -> Option<&'static CommandSpec> {
    match name.iter().position(|byte| *byte == b'|') {
        Some(at) => command::find(&name[..at])?.subcommand(&name[at + 1..]),
        None => command::find(name),
    }
    .map(Command::spec)
}

#[cfg(test)]
mod tests {
    use crate::{Reply, testing::Shell};

    #[test]
    fn a_command_is_described_from_its_spec() {
        let shell = Shell::new();
        shell.check(
            r#"
            COMMAND INFO nosuch client|nosuch => [nil nil]
            COMMAND COUNT extra => ERR wrong number of arguments for 'command|count' command
            COMMAND FOO => ERR unknown subcommand 'FOO'. Try COMMAND HELP.
            "#,
        );
        let info = shell.print("COMMAND INFO get");
        assert!(info.starts_with(r#"[["get" (int) 2 "#), "{info}");
        assert!(info.contains("readonly fast"), "{info}");
        assert!(info.contains("@read @string @fast"), "{info}");
        let container = shell.print("COMMAND INFO client");
        assert!(container.contains(r#"["client|id" (int) 2"#), "{container}");
        let Reply::Array(all) = shell.run("COMMAND") else {
            panic!("a list");
        };
        assert_eq!(shell.run("COMMAND COUNT"), Reply::count(all.len()));
    }
}
