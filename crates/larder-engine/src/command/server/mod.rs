//! Commands on the engine as a whole.

mod select;

use crate::command::CommandSpec;

pub(super) const COMMANDS: &[&CommandSpec] = &[&select::DBSIZE, &select::SELECT];
