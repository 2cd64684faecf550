//! Strings as arrays of bits.

mod bit;
mod bitfield;
mod bitop;
mod count;
mod field;

use crate::command::CommandSpec;

pub(super) const COMMANDS: &[&CommandSpec] = &[
    &bit::GETBIT,
    &bit::SETBIT,
    &bitfield::BITFIELD,
    &bitfield::BITFIELD_RO,
    &bitop::BITOP,
    &count::BITCOUNT,
    &count::BITPOS,
];
