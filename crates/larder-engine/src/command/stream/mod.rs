//! Streams: entries with growing ids under one key. Consumer groups are not built yet.

mod ids;
mod listing;
mod options;
mod xadd;
mod xdel;
mod xinfo;
mod xlen;
mod xrange;
mod xread;
mod xsetid;
mod xtrim;

use crate::command::CommandSpec;

pub(super) const COMMANDS: &[&CommandSpec] = &[
    &xadd::XADD,
    &xdel::XDEL,
    &xinfo::XINFO,
    &xlen::XLEN,
    &xrange::XRANGE,
    &xrange::XREVRANGE,
    &xread::XREAD,
    &xsetid::XSETID,
    &xtrim::XTRIM,
];

#[cfg(test)]
mod tests;
