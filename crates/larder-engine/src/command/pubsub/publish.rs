//! `PUBLISH channel message`, `SPUBLISH shardchannel message`: sends a message to who listens now.
//!
//! Reference: <https://redis.io/commands/publish/>, <https://redis.io/commands/spublish/>.

use crate::{
    Reply,
    command::{Arity, CommandSpec, Flags, Group, KeySpec},
};

pub(super) const PUBLISH: CommandSpec = CommandSpec {
    name: "PUBLISH",
    summary: "Posts a message to a channel",
    since: "2.0.0",
    complexity: "O(N+M) where N is the number of clients subscribed to the receiving channel and M is the total number \
                 of subscribed patterns (by any client)",
    group: Group::PubSub,
    arity: Arity::exactly(3),
    flags: Flags::PUBSUB.and(Flags::LOADING).and(Flags::STALE).and(Flags::FAST),
    keys: KeySpec::None,
    subcommands: &[],
    run: |ctx, args| Ok(Reply::count(ctx.core.publish(args.bytes(1), args.bytes(2)))),
};

pub(super) const SPUBLISH: CommandSpec = CommandSpec {
    name: "SPUBLISH",
    summary: "Posts a message to a shard channel",
    since: "7.0.0",
    complexity: "O(N) where N is the number of clients subscribed to the receiving shard channel",
    keys: KeySpec::first(),
    run: |ctx, args| Ok(Reply::count(ctx.core.publish_to_shard(args.bytes(1), args.bytes(2)))),
    ..PUBLISH
};
