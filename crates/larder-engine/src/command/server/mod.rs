//! Commands on the engine as a whole.

mod config;
mod debug;
mod flush;
mod info;
mod memory;
mod parameters;
mod rewrite;
mod select;
mod slowlog;
mod time;

use crate::command::CommandSpec;

pub(super) const COMMANDS: &[&CommandSpec] = &[
    &config::CONFIG,
    &debug::DEBUG,
    &flush::FLUSHALL,
    &flush::FLUSHDB,
    &flush::SWAPDB,
    &info::INFO,
    &memory::MEMORY,
    &rewrite::BGREWRITEAOF,
    &rewrite::LASTSAVE,
    &select::DBSIZE,
    &select::SELECT,
    &slowlog::SLOWLOG,
    &time::ROLE,
    &time::TIME,
    &time::WAIT,
];
