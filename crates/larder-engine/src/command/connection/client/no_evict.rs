//! `CLIENT NO-EVICT ON|OFF`, `CLIENT NO-TOUCH ON|OFF`: what a connection's presence and commands leave alone.
//!
//! Reference: <https://redis.io/commands/client-no-evict/>, <https://redis.io/commands/client-no-touch/>. Clients are
//! never evicted here, so the first is only remembered.

use super::{id::ID, info::LIST};
use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandSpec},
};

pub(super) const NO_EVICT: CommandSpec = CommandSpec {
    name: "CLIENT|NO-EVICT",
    summary: "Sets the client eviction mode of the connection",
    since: "7.0.0",
    complexity: "O(1)",
    arity: Arity::exactly(3),
    run: |ctx, args| {
        ctx.client().no_evict = on_or_off(args)?;
        Ok(Reply::Ok)
    },
    ..LIST
};

pub(super) const NO_TOUCH: CommandSpec = CommandSpec {
    name: "CLIENT|NO-TOUCH",
    summary: "Controls whether commands sent by the client affect the LRU of accessed keys",
    since: "7.2.0",
    arity: Arity::exactly(3),
    run: |ctx, args| {
        ctx.client().no_touch = on_or_off(args)?;
        Ok(Reply::Ok)
    },
    ..ID
};

fn on_or_off(args: &Args<'_>) -> Result<bool, ErrorReply> {
    if args.is(2, "ON") {
        Ok(true)
    } else if args.is(2, "OFF") {
        Ok(false)
    } else {
        Err(ErrorReply::SYNTAX)
    }
}
