//! `CLIENT ID`: the connection's number, never given to another.
//!
//! Reference: <https://redis.io/commands/client-id/>.

use crate::{
    Reply,
    command::{Arity, CommandSpec, Flags, Group, KeySpec},
};

pub(super) const ID: CommandSpec = CommandSpec {
    name: "CLIENT|ID",
    summary: "Returns the unique client ID of the connection",
    since: "5.0.0",
    group: Group::Connection,
    keys: KeySpec::None,
    complexity: "O(1)",
    arity: Arity::exactly(2),
    flags: Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE),
    subcommands: &[],
    run: |ctx, _| Ok(Reply::Int(ctx.client.0 as i64)),
};
