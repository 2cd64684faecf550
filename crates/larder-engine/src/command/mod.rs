//! The table of commands. Adding a command is one file and one line in its family's list.
//!
//! Each command's name, arity, flags, keys, age and cost are data beside its code; dispatch, `COMMAND`, key
//! routing, the docs table and the conformance suite derive from it.

mod args;
mod connection;
mod expiry;
mod hash;
mod keys;
mod list;
mod random;
pub(crate) mod scan;
mod scripting;
mod server;
mod set;
mod sorted_set;
mod spec;
mod string;

use std::sync::LazyLock;

use ahash::HashMap;

use crate::{ErrorReply, Reply, ctx::Ctx};
pub(crate) use args::{Args, parse_int, rank_range};

pub use spec::{Arity, CommandInfo, Flags, Group};
pub(crate) use spec::{CommandResult, CommandSpec, KeySpec};

/// The families, each a list of commands.
const FAMILIES: &[&[&CommandSpec]] = &[
    connection::COMMANDS,
    hash::COMMANDS,
    keys::COMMANDS,
    list::COMMANDS,
    scripting::COMMANDS,
    server::COMMANDS,
    set::COMMANDS,
    sorted_set::COMMANDS,
    string::COMMANDS,
];

static BY_NAME: LazyLock<HashMap<&'static str, &'static CommandSpec>> =
    LazyLock::new(|| all().map(|spec| (spec.name, spec)).collect());

fn all() -> impl Iterator<Item = &'static CommandSpec> {
    FAMILIES.iter().flat_map(|family| family.iter().copied())
}

/// The longest name in the table, with room: a longer one cannot be a command.
const NAME_MAX: usize = 32;

/// The command of this name, in any case.
pub(crate) fn find(name: &[u8]) -> Option<&'static CommandSpec> {
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
