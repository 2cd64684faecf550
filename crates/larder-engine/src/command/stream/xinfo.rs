//! `XINFO STREAM key [FULL [COUNT n]]`, `XINFO GROUPS key`, `XINFO CONSUMERS key group`, `XINFO HELP`: what a stream is made of.
//!
//! Reference: <https://redis.io/commands/xinfo-stream/>. Nodes are those that Redis would have.

use super::listing;
use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec, container, help},
    ctx::Ctx,
    value::{ConsumerGroup, Pending, Stream, StreamId},
};

pub(super) const XINFO: CommandSpec = CommandSpec {
    name: "XINFO",
    summary: "A container for stream introspection commands",
    since: "5.0.0",
    complexity: "Depends on subcommand",
    group: Group::Stream,
    arity: Arity::at_least(2),
    flags: Flags::NONE,
    keys: KeySpec::None,
    subcommands: &[&CONSUMERS, &GROUPS, &STREAM, &HELP],
    run: container,
};

const STREAM: CommandSpec = CommandSpec {
    name: "XINFO|STREAM",
    summary: "Get information about a stream",
    since: "5.0.0",
    complexity: "O(1)",
    group: Group::Stream,
    arity: Arity::at_least(3),
    flags: Flags::READONLY,
    keys: KeySpec::Range {
        first: 2,
        last: 2,
        step: 1,
    },
    subcommands: &[],
    run: stream,
};

const GROUPS: CommandSpec = CommandSpec {
    name: "XINFO|GROUPS",
    summary: "List the consumer groups of a stream",
    arity: Arity::exactly(3),
    run: groups,
    ..STREAM
};

const CONSUMERS: CommandSpec = CommandSpec {
    name: "XINFO|CONSUMERS",
    summary: "List the consumers in a consumer group",
    arity: Arity::exactly(4),
    run: consumers,
    ..STREAM
};

const HELP: CommandSpec = CommandSpec {
    name: "XINFO|HELP",
    summary: "Show helpful text about the different subcommands",
    arity: Arity::exactly(2),
    flags: Flags::LOADING.and(Flags::STALE),
    keys: KeySpec::None,
    run: |_, _| Ok(help("XINFO", HELP_TEXT)),
    ..STREAM
};

const HELP_TEXT: &[&str] = &[
    "CONSUMERS <key> <groupname>",
    "    Show consumers of <groupname>.",
    "GROUPS <key>",
    "    Show the stream consumer groups.",
    "STREAM <key> [FULL [COUNT <count>]",
    "    Show information about the stream.",
];

/// What is told of the stream's entries.
enum Detail {
    /// The first and the last one.
    Ends,
    /// The first so many, or all.
    Entries(Option<usize>),
}

impl Detail {
    fn parse(args: &Args<'_>) -> Result<Self, ErrorReply> {
        /// How many entries `FULL` shows unless told otherwise.
        const COUNT_DEFAULT: usize = 10;
        let wrong = || ErrorReply::not_a_subcommand("XINFO", args.bytes(1));
        match args.len() {
            3 => Ok(Self::Ends),
            4 if args.is(3, "FULL") => Ok(Self::Entries(Some(COUNT_DEFAULT))),
            6 if args.is(3, "FULL") && args.is(4, "COUNT") => {
                let count = usize::try_from(args.int(5)?).unwrap_or(COUNT_DEFAULT);
                Ok(Self::Entries(Some(count).filter(|count| *count > 0)))
            }
            _ => Err(wrong()),
        }
    }
}

/// The stream at the key that every subcommand names.
fn named<'a>(ctx: &'a mut Ctx<'_>, args: &Args<'_>) -> Result<&'a Stream, ErrorReply> {
    ctx.read::<Stream>(args.bytes(2))?.ok_or(ErrorReply::NO_SUCH_KEY)
}

fn groups(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let stream = named(ctx, args)?;
    let groups = stream.groups().map(|(name, group)| {
        map(vec![
            ("name", Reply::bulk(name)),
            ("consumers", Reply::count(group.consumers().len())),
            ("pending", Reply::count(group.pending_len())),
            ("last-delivered-id", id(group.last_id)),
            ("entries-read", number(group.entries_read.map(|read| read as i64))),
            ("lag", number(group.lag(stream))),
        ])
    });
    Ok(Reply::Array(groups.collect()))
}

fn consumers(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (now, name) = (ctx.now(), args.bytes(3));
    let group = named(ctx, args)?.group(name);
    let group = group.ok_or_else(|| ErrorReply::no_group(name, args.bytes(2)))?;
    let consumers = group.consumers().map(|(name, consumer)| {
        map(vec![
            ("name", Reply::bulk(name)),
            ("pending", Reply::count(consumer.pending())),
            ("idle", Reply::Int(now.saturating_sub(consumer.seen_at) as i64)),
        ])
    });
    Ok(Reply::Array(consumers.collect()))
}

fn stream(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let stream = named(ctx, args)?;
    let detail = Detail::parse(args)?;
    let (blocks, nodes) = stream.shape();
    let mut all = stream.range(StreamId::MIN, StreamId::MAX);
    let mut fields = vec![
        ("length", Reply::count(stream.len())),
        ("radix-tree-keys", Reply::count(blocks)),
        ("radix-tree-nodes", Reply::count(nodes)),
        ("last-generated-id", id(stream.last_id())),
        ("max-deleted-entry-id", id(stream.max_deleted_id())),
        ("entries-added", Reply::Int(stream.added() as i64)),
        ("recorded-first-entry-id", id(stream.first_id())),
    ];
    match detail {
        Detail::Ends => {
            let last = stream.range(StreamId::MIN, StreamId::MAX).next_back();
            fields.extend([
                ("groups", Reply::count(stream.groups().len())),
                ("first-entry", all.next().map_or(Reply::Null, listing::entry)),
                ("last-entry", last.map_or(Reply::Null, listing::entry)),
            ]);
        }
        Detail::Entries(count) => {
            let groups = stream.groups().map(|(name, group)| in_full(name, group, stream, count));
            let groups = Reply::Array(groups.collect());
            fields.extend([("entries", listing::entries(all, count)), ("groups", groups)]);
        }
    }
    Ok(map(fields))
}

/// A group with what is pending, of which at most `count` entries of each list are shown.
fn in_full(name: &[u8], group: &ConsumerGroup, stream: &Stream, count: Option<usize>) -> Reply {
    let count = count.unwrap_or(usize::MAX);
    let times = |pending: &Pending| [pending.delivered_at, pending.deliveries].map(|n| Reply::Int(n as i64));
    let pending = group.pending_from(StreamId::MIN).take(count).map(|(at, pending)| {
        let owner = [id(at), Reply::bulk(&pending.consumer)];
        Reply::Array(owner.into_iter().chain(times(pending)).collect())
    });
    let consumers = group.consumers().map(|(name, consumer)| {
        let ids = consumer.pending_from(StreamId::MIN).take(count);
        let pending = ids.filter_map(|at| {
            let times = times(group.pending(at)?);
            Some(Reply::Array(std::iter::once(id(at)).chain(times).collect()))
        });
        map(vec![
            ("name", Reply::bulk(name)),
            ("seen-time", Reply::Int(consumer.seen_at as i64)),
            ("pel-count", Reply::count(consumer.pending())),
            ("pending", Reply::Array(pending.collect())),
        ])
    });
    map(vec![
        ("name", Reply::bulk(name)),
        ("last-delivered-id", id(group.last_id)),
        ("entries-read", number(group.entries_read.map(|read| read as i64))),
        ("lag", number(group.lag(stream))),
        ("pel-count", Reply::count(group.pending_len())),
        ("pending", Reply::Array(pending.collect())),
        ("consumers", Reply::Array(consumers.collect())),
    ])
}

fn map(fields: Vec<(&'static str, Reply)>) -> Reply {
    let named = fields.into_iter().map(|(name, value)| (Reply::bulk(name), value));
    Reply::Map(named.collect())
}

fn id(id: StreamId) -> Reply {
    Reply::bulk(id.to_string())
}

/// A number, if it is known.
fn number(number: Option<i64>) -> Reply {
    number.map_or(Reply::Null, Reply::Int)
}
