//! Commands on the connection itself.

mod client;
mod ping;
mod tracking;

use crate::command::CommandSpec;

pub(super) const COMMANDS: &[&CommandSpec] = &[&client::CLIENT, &ping::PING];
