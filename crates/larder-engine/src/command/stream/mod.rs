//! Streams: entries with growing ids under one key, and groups of consumers that share them out.

mod deliver;
mod ids;
mod listing;
mod options;
mod xack;
mod xadd;
mod xautoclaim;
mod xclaim;
mod xdel;
mod xgroup;
mod xinfo;
mod xlen;
mod xpending;
mod xrange;
mod xread;
mod xreadgroup;
mod xsetid;
mod xtrim;

use crate::command::CommandSpec;
pub(crate) use deliver::claim;

pub(super) const COMMANDS: &[&CommandSpec] = &[
    &xack::XACK,
    &xadd::XADD,
    &xautoclaim::XAUTOCLAIM,
    &xclaim::XCLAIM,
    &xdel::XDEL,
    &xgroup::XGROUP,
    &xinfo::XINFO,
    &xlen::XLEN,
    &xpending::XPENDING,
    &xrange::XRANGE,
    &xrange::XREVRANGE,
    &xread::XREAD,
    &xreadgroup::XREADGROUP,
    &xsetid::XSETID,
    &xtrim::XTRIM,
];

#[cfg(test)]
mod tests;
