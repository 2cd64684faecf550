//! Commands on keys of any type.

mod copy;
mod del;
mod exists;
mod expire;
mod kind;
mod object;
mod rename;
mod scan;
mod sort;
mod ttl;

use crate::command::CommandSpec;

pub(super) const COMMANDS: &[&CommandSpec] = &[
    &copy::COPY,
    &copy::MOVE,
    &del::DEL,
    &del::UNLINK,
    &exists::EXISTS,
    &exists::TOUCH,
    &expire::EXPIRE,
    &expire::PEXPIRE,
    &expire::EXPIREAT,
    &expire::PEXPIREAT,
    &expire::PERSIST,
    &kind::TYPE,
    &object::OBJECT,
    &rename::RENAME,
    &rename::RENAMENX,
    &scan::SCAN,
    &scan::KEYS,
    &scan::RANDOMKEY,
    &sort::SORT,
    &sort::SORT_RO,
    &ttl::TTL,
    &ttl::PTTL,
    &ttl::EXPIRETIME,
    &ttl::PEXPIRETIME,
];
