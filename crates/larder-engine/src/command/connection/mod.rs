//! Commands on the connection itself.

mod ping;

use crate::command::CommandSpec;

pub(super) const COMMANDS: &[&CommandSpec] = &[&ping::PING];
