//! `ECHO message`: the message back.
//!
//! Reference: <https://redis.io/commands/echo/>.

use super::ping::PING;
use crate::{
    Reply,
    command::{Arity, CommandSpec, Flags},
};

pub(super) const ECHO: CommandSpec = CommandSpec {
    name: "ECHO",
    summary: "Returns the given string",
    arity: Arity::exactly(2),
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
    run: |_, args| Ok(Reply::bulk(args.bytes(1))),
    ..PING
};
