//! Strings as arrays of bits.

mod bit;
mod bitop;
mod count;

use crate::command::CommandSpec;

pub(super) const COMMANDS: &[&CommandSpec] = &[
    &bit::GETBIT,
    &bit::SETBIT,
    &bitop::BITOP,
    &count::BITCOUNT,
    &count::BITPOS,
];
