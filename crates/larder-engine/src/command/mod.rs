//! The table of commands. Adding a command is one file and one line in its family's list.
//!
//! Each command's name, arity, flags, keys, age and cost are data beside its code; dispatch, `COMMAND`, key
//! routing, the docs table and the conformance suite derive from it.

mod args;
mod bitmap;
mod connection;
mod expiry;
mod hash;
mod hyperloglog;
pub(crate) mod info;
mod keys;
mod list;
mod pubsub;
mod random;
pub(crate) mod scan;
mod scripting;
mod server;
mod set;
mod sorted_set;
mod spec;
mod stream;
mod string;
mod timeout;
mod transactions;

use std::sync::LazyLock;

use ahash::HashMap;

use crate::{ErrorReply, Reply, ctx::Ctx};
pub(crate) use args::{Args, parse_int, rank_range};

pub use spec::{Arity, CommandInfo, Flags, Group};
pub(crate) use spec::{CommandResult, CommandSpec, KeySpec};
pub(crate) use stream::claim as stream_claim;
pub(crate) use transactions::abort as abort_transaction;

/// The families, each a list of commands.
const FAMILIES: &[&[&CommandSpec]] = &[
    bitmap::COMMANDS,
    connection::COMMANDS,
    hash::COMMANDS,
    hyperloglog::COMMANDS,
    keys::COMMANDS,
    list::COMMANDS,
    pubsub::COMMANDS,
    scripting::COMMANDS,
    server::COMMANDS,
    set::COMMANDS,
    sorted_set::COMMANDS,
    stream::COMMANDS,
    string::COMMANDS,
    transactions::COMMANDS,
];

/// A command with the number that the engine counts its calls under. A container's subcommands have the numbers
/// that follow its own.
#[derive(Clone, Copy)]
pub(crate) struct Command {
    spec: &'static CommandSpec,
    pub(crate) number: usize,
}

impl std::ops::Deref for Command {
    type Target = CommandSpec;

    fn deref(&self) -> &CommandSpec {
        self.spec
    }
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Command {
    pub(crate) const fn spec(self) -> &'static CommandSpec {
        self.spec
    }

    /// The subcommand that this word names, in any case.
    pub(crate) fn subcommand(self, word: &[u8]) -> Option<Self> {
        let position = self.spec.subcommands.iter().position(|sub| sub.is_subcommand(word))?;
        Some(Self {
            spec: self.spec.subcommands[position],
            number: self.number + 1 + position,
        })
    }
}

static BY_NAME: LazyLock<HashMap<&'static str, Command>> = LazyLock::new(|| {
    let mut next = 0;
    let number = |spec: &'static CommandSpec| {
        let number = next;
        next += 1 + spec.subcommands.len();
        (spec.name, Command { spec, number })
    };
    all().map(number).collect()
});

/// The names of all commands and subcommands, at their numbers.
pub(crate) fn names() -> Vec<&'static str> {
    all_with_subcommands().map(|spec| spec.name).collect()
}

/// The version of Redis that replies and errors are those of.
pub(crate) const VERSION: &str = "7.0.15";

pub(crate) fn all() -> impl Iterator<Item = &'static CommandSpec> {
    FAMILIES.iter().flat_map(|family| family.iter().copied())
}

/// The commands, each container followed by its subcommands.
pub(crate) fn all_with_subcommands() -> impl Iterator<Item = &'static CommandSpec> {
    all().flat_map(|spec| std::iter::once(spec).chain(spec.subcommands.iter().copied()))
}

/// The longest name in the table, with room: a longer one cannot be a command.
const NAME_MAX: usize = 32;

/// The command of this name, in any case.
pub(crate) fn find(name: &[u8]) -> Option<Command> {
    let mut upper = [0; NAME_MAX];
    let upper = upper.get_mut(..name.len())?;
    upper.copy_from_slice(name);
    upper.make_ascii_uppercase();
    BY_NAME.get(std::str::from_utf8(upper).ok()?).copied()
}

/// Every command that the engine has, by name.
#[must_use]
pub fn commands() -> Vec<CommandInfo> {
    let mut list: Vec<CommandInfo> = all().map(CommandSpec::info).collect();
    list.sort_by_key(|info| info.name);
    list
}

/// What a container runs when no subcommand was named right; dispatch has refused such a call before.
pub(crate) fn container(_: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let name = String::from_utf8_lossy(args.bytes(0)).to_ascii_uppercase();
    Err(ErrorReply::unknown_subcommand(&name, args.get(1).unwrap_or_default()))
}

/// The reply of a container's `HELP`, in Redis's frame.
pub(crate) fn help(container: &str, lines: &[&'static str]) -> Reply {
    let title = format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    let tail = ["HELP", "    Prints this help."];
    let lines = lines.iter().chain(&tail).map(|line| Reply::status(*line));
    Reply::Array(std::iter::once(Reply::status(title)).chain(lines).collect())
}
