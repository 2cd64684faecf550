//! Scripts.

mod eval;
mod script;

use crate::command::CommandSpec;

pub(super) const COMMANDS: &[&CommandSpec] = &[
    &eval::EVAL,
    &eval::EVALSHA,
    &eval::EVAL_RO,
    &eval::EVALSHA_RO,
    &script::SCRIPT,
];
