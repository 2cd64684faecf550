//! `XINFO STREAM key [FULL [COUNT n]]`, `XINFO GROUPS key`, `XINFO CONSUMERS key group`, `XINFO HELP`: what a stream is made of.
//!
//! Reference: <https://redis.io/commands/xinfo-stream/>. Nodes are those that Redis would have. Groups are not built yet:
//! a stream has none.

use super::listing;
use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec, container, help},
    ctx::Ctx,
    value::{Stream, StreamId},
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
    named(ctx, args).map(|_| Reply::Array(Vec::new()))
}

fn consumers(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    named(ctx, args)?;
    Err(ErrorReply::no_group(args.bytes(3), args.bytes(2)))
}

fn stream(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let stream = named(ctx, args)?;
    let detail = Detail::parse(args)?;
    let (blocks, nodes) = stream.shape();
    let id = |id: StreamId| Reply::bulk(id.to_string());
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
                ("groups", Reply::Int(0)),
                ("first-entry", all.next().map_or(Reply::Null, listing::entry)),
                ("last-entry", last.map_or(Reply::Null, listing::entry)),
            ]);
        }
        Detail::Entries(count) => {
            let groups = Reply::Array(Vec::new());
            fields.extend([("entries", listing::entries(all, count)), ("groups", groups)]);
        }
    }
    Ok(Reply::Map(
        fields
            .into_iter()
            .map(|(name, value)| (Reply::bulk(name), value))
            .collect(),
    ))
}
