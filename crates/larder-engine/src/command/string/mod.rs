//! Strings and counters.

mod get;

use crate::command::CommandSpec;

pub(super) const COMMANDS: &[&CommandSpec] = &[&get::GET];
