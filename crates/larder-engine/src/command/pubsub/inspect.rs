//! `PUBSUB CHANNELS|NUMSUB|NUMPAT|SHARDCHANNELS|SHARDNUMSUB`: who listens.
//!
//! Reference: <https://redis.io/commands/pubsub/>.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec, container, help},
    ctx::Ctx,
    glob,
    pubsub::Kind,
};

pub(super) const PUBSUB: CommandSpec = CommandSpec {
    name: "PUBSUB",
    summary: "A container for Pub/Sub commands",
    since: "2.8.0",
    complexity: "Depends on subcommand",
    group: Group::PubSub,
    arity: Arity::at_least(2),
    flags: Flags::NONE,
    keys: KeySpec::None,
    subcommands: &[&CHANNELS, &HELP, &NUMPAT, &NUMSUB, &SHARDCHANNELS, &SHARDNUMSUB],
    run: container,
};

const CHANNELS: CommandSpec = CommandSpec {
    name: "PUBSUB|CHANNELS",
    summary: "Returns the active channels",
    since: "2.8.0",
    group: Group::PubSub,
    arity: Arity::at_least(2),
    keys: KeySpec::None,
    complexity: "O(N) where N is the number of active channels",
    flags: Flags::PUBSUB.and(Flags::LOADING).and(Flags::STALE),
    subcommands: &[],
    run: |ctx, args| channels(ctx, args, Kind::Channel),
};

const SHARDCHANNELS: CommandSpec = CommandSpec {
    name: "PUBSUB|SHARDCHANNELS",
    summary: "Returns the active shard channels",
    since: "7.0.0",
    run: |ctx, args| channels(ctx, args, Kind::Shard),
    ..CHANNELS
};

const NUMSUB: CommandSpec = CommandSpec {
    name: "PUBSUB|NUMSUB",
    summary: "Returns a count of subscribers to channels",
    complexity: "O(N) where N is the number of requested channels",
    run: |ctx, args| subscribers(ctx, args, Kind::Channel),
    ..CHANNELS
};

const SHARDNUMSUB: CommandSpec = CommandSpec {
    name: "PUBSUB|SHARDNUMSUB",
    summary: "Returns the count of subscribers of shard channels",
    since: "7.0.0",
    run: |ctx, args| subscribers(ctx, args, Kind::Shard),
    ..NUMSUB
};

const NUMPAT: CommandSpec = CommandSpec {
    name: "PUBSUB|NUMPAT",
    summary: "Returns a count of unique pattern subscriptions",
    complexity: "O(1)",
    arity: Arity::exactly(2),
    run: |ctx, _| Ok(Reply::count(ctx.core.pubsub.patterns())),
    ..CHANNELS
};

const HELP: CommandSpec = CommandSpec {
    name: "PUBSUB|HELP",
    summary: "Returns helpful text about the different subcommands",
    since: "6.2.0",
    complexity: "O(1)",
    arity: Arity::exactly(2),
    flags: Flags::LOADING.and(Flags::STALE),
    run: |_, _| Ok(help("PUBSUB", HELP_LINES)),
    ..CHANNELS
};

const HELP_LINES: &[&str] = &[
    "CHANNELS [<pattern>]",
    "    Return the currently active channels matching a <pattern> (default: '*').",
    "NUMPAT",
    "    Return number of subscriptions to patterns.",
    "NUMSUB [<channel> ...]",
    "    Return the number of subscribers for the specified channels, excluding",
    "    pattern subscriptions(default: no channels).",
    "SHARDCHANNELS [<pattern>]",
    "    Return the currently active shard level channels matching a <pattern> (default: '*').",
    "SHARDNUMSUB [<shardchannel> ...]",
    "    Return the number of subscribers for the specified shard level channel(s)",
];

fn channels(ctx: &mut Ctx<'_>, args: &Args<'_>, kind: Kind) -> CommandResult {
    if args.len() > 3 {
        return Err(ErrorReply::not_a_subcommand("PUBSUB", args.bytes(1)));
    }
    let pattern = args.get(2).unwrap_or(b"*");
    let names = ctx.core.pubsub.heard(kind).map(|(name, _)| name);
    Ok(Reply::bulks(names.filter(|name| glob::matches(pattern, name))))
}

fn subscribers(ctx: &mut Ctx<'_>, args: &Args<'_>, kind: Kind) -> CommandResult {
    let listeners = |name: &&[u8]| [Reply::bulk(name), Reply::count(ctx.core.pubsub.listeners(kind, name))];
    Ok(Reply::Array(args.rest(2).iter().flat_map(listeners).collect()))
}
