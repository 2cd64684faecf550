//! Transactions; see [`transaction`](crate::transaction).

mod exec;
mod watch;

use crate::command::CommandSpec;

pub(crate) use exec::abort;

pub(super) const COMMANDS: &[&CommandSpec] = &[
    &exec::DISCARD,
    &exec::EXEC,
    &exec::MULTI,
    &watch::UNWATCH,
    &watch::WATCH,
];
