//! Lists: elements in order under one key.

mod lindex;
mod linsert;
mod llen;
mod lmove;
pub(super) mod lmpop;
mod lpos;
mod lrange;
mod lrem;
mod lset;
mod ltrim;
mod pop;
mod push;

use crate::command::CommandSpec;

pub(super) const COMMANDS: &[&CommandSpec] = &[
    &lindex::LINDEX,
    &linsert::LINSERT,
    &llen::LLEN,
    &lmove::LMOVE,
    &lmove::RPOPLPUSH,
    &lmpop::LMPOP,
    &lpos::LPOS,
    &lrange::LRANGE,
    &lrem::LREM,
    &lset::LSET,
    &ltrim::LTRIM,
    &pop::LPOP,
    &pop::RPOP,
    &push::LPUSH,
    &push::LPUSHX,
    &push::RPUSH,
    &push::RPUSHX,
];
