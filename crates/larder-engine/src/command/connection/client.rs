//! `CLIENT`: the container of what a connection asks about itself and others.
//!
//! Reference: <https://redis.io/commands/client/>.

use super::tracking::{CACHING, GETREDIR, TRACKING, TRACKINGINFO};
use crate::command::{Arity, CommandSpec, Flags, Group, KeySpec, container};

pub(super) const CLIENT: CommandSpec = CommandSpec {
    name: "CLIENT",
    summary: "A container for client connection commands",
    since: "2.4.0",
    complexity: "Depends on subcommand",
    group: Group::Connection,
    arity: Arity::at_least(2),
    flags: Flags::NONE,
    keys: KeySpec::None,
    subcommands: &[&CACHING, &GETREDIR, &TRACKING, &TRACKINGINFO],
    run: container,
};
