//! Commands on keys of any type.

mod del;

use crate::command::CommandSpec;

pub(super) const COMMANDS: &[&CommandSpec] = &[&del::DEL, &del::UNLINK];
