//! `XGROUP CREATE`, `SETID`, `DESTROY`, `CREATECONSUMER`, `DELCONSUMER`, `HELP`: the groups of a stream and their consumers.
//!
//! Reference: <https://redis.io/commands/xgroup-create/>. Redis reads the options of all of them first, then looks for the
//! key, then for the group.

use super::ids;
use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec, container, help},
    ctx::Ctx,
    notify::Class,
    value::{ConsumerGroup, Kind, Stream, StreamId},
};

pub(super) const XGROUP: CommandSpec = CommandSpec {
    name: "XGROUP",
    summary: "A container for consumer groups commands",
    since: "5.0.0",
    complexity: "Depends on subcommand",
    group: Group::Stream,
    arity: Arity::at_least(2),
    flags: Flags::NONE,
    keys: KeySpec::None,
    subcommands: &[&CREATE, &CREATECONSUMER, &DELCONSUMER, &DESTROY, &HELP, &SETID],
    run: container,
};

const CREATE: CommandSpec = CommandSpec {
    name: "XGROUP|CREATE",
    summary: "Creates a consumer group",
    since: "5.0.0",
    complexity: "O(1)",
    group: Group::Stream,
    arity: Arity::at_least(5),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    keys: KeySpec::Range {
        first: 2,
        last: 2,
        step: 1,
    },
    subcommands: &[],
    run: create,
};

const CREATECONSUMER: CommandSpec = CommandSpec {
    name: "XGROUP|CREATECONSUMER",
    summary: "Creates a consumer in a consumer group",
    since: "6.2.0",
    arity: Arity::exactly(5),
    run: create_consumer,
    ..CREATE
};

const DELCONSUMER: CommandSpec = CommandSpec {
    name: "XGROUP|DELCONSUMER",
    summary: "Deletes a consumer from a consumer group",
    arity: Arity::exactly(5),
    flags: Flags::WRITE,
    run: remove_consumer,
    ..CREATE
};

const DESTROY: CommandSpec = CommandSpec {
    name: "XGROUP|DESTROY",
    summary: "Destroys a consumer group",
    complexity: "O(N) where N is the number of entries in the group's pending entries list (PEL)",
    arity: Arity::exactly(4),
    flags: Flags::WRITE,
    run: destroy,
    ..CREATE
};

const SETID: CommandSpec = CommandSpec {
    name: "XGROUP|SETID",
    summary: "Sets a consumer group to an arbitrary last delivered ID value",
    flags: Flags::WRITE,
    run: set_id,
    ..CREATE
};

const HELP: CommandSpec = CommandSpec {
    name: "XGROUP|HELP",
    summary: "Shows helpful text about the different subcommands",
    arity: Arity::exactly(2),
    flags: Flags::LOADING.and(Flags::STALE),
    keys: KeySpec::None,
    run: |_, _| Ok(help("XGROUP", HELP_TEXT)),
    ..CREATE
};

const HELP_TEXT: &[&str] = &[
    "CREATE <key> <groupname> <id|$> [option]",
    "    Create a new consumer group. Options are:",
    "    * MKSTREAM",
    "      Create the empty stream if it does not exist.",
    "    * ENTRIESREAD entries_read",
    "      Set the group's entries_read counter (internal use).",
    "CREATECONSUMER <key> <groupname> <consumer>",
    "    Create a new consumer in the specified group.",
    "DELCONSUMER <key> <groupname> <consumer>",
    "    Remove the specified consumer.",
    "DESTROY <key> <groupname>",
    "    Remove the specified group.",
    "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
    "    Set the current group ID and entries_read counter.",
];

/// `[MKSTREAM] [ENTRIESREAD n]`
#[derive(Default)]
struct Options {
    make: bool,
    entries_read: Option<u64>,
}

impl Options {
    fn parse(args: &Args<'_>, may_make: bool) -> Result<Self, ErrorReply> {
        const UNKNOWN: i64 = -1;
        let (mut options, mut i) = (Self::default(), 5);
        while i < args.len() {
            if may_make && args.is(i, "MKSTREAM") {
                options.make = true;
                i += 1;
            } else if args.is(i, "ENTRIESREAD") && i + 1 < args.len() {
                options.entries_read = match args.int(i + 1)? {
                    UNKNOWN => None,
                    read => Some(u64::try_from(read).map_err(|_| ErrorReply::ENTRIES_READ_NEGATIVE)?),
                };
                i += 2;
            } else {
                return Err(wrong(args));
            }
        }
        Ok(options)
    }
}

fn wrong(args: &Args<'_>) -> ErrorReply {
    ErrorReply::not_a_subcommand("XGROUP", args.bytes(1))
}

/// The stream that every subcommand names.
fn stream<'a>(ctx: &'a mut Ctx<'_>, args: &Args<'_>) -> Result<&'a Stream, ErrorReply> {
    ctx.read::<Stream>(args.bytes(2))?.ok_or(ErrorReply::GROUP_NEEDS_KEY)
}

/// Changes the group that a subcommand names.
fn change<R>(
    ctx: &mut Ctx<'_>,
    args: &Args<'_>,
    change: impl FnOnce(&mut ConsumerGroup) -> R,
) -> Result<R, ErrorReply> {
    let (key, name) = (args.bytes(2), args.bytes(3));
    let changed = ctx.update(key, |stream: &mut Stream| {
        stream.change_group(name, |group, _| change(group))
    })?;
    changed.flatten().ok_or_else(|| ErrorReply::no_group(name, key))
}

/// The id that argument 4 names, for a stream with this last one.
fn id(args: &Args<'_>, last: Option<StreamId>, open: bool) -> Result<StreamId, ErrorReply> {
    match args.bytes(4) {
        b"$" => Ok(last.unwrap_or_default()),
        text if open => StreamId::parse_open(text, 0).ok_or(ErrorReply::STREAM_ID),
        _ => ids::id(args, 4),
    }
}

fn create(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    const ARGUMENTS_MAX: usize = 8;
    let options = Options::parse(args, true)?;
    let key = args.bytes(2);
    let last = ctx.read::<Stream>(key)?.map(Stream::last_id);
    if last.is_none() && !options.make {
        return Err(ErrorReply::GROUP_NEEDS_KEY);
    }
    if args.len() > ARGUMENTS_MAX {
        return Err(wrong(args));
    }
    let id = id(args, last, false)?;
    let is_new = last.is_none();
    if is_new {
        ctx.put(key, Stream::default().into_value(), None);
    }
    let created = ctx.update(key, |stream: &mut Stream| {
        stream.create_group(args.bytes(3), ConsumerGroup::new(id, options.entries_read))
    })?;
    if created != Some(true) {
        return Err(ErrorReply::GROUP_EXISTS);
    }
    if is_new {
        ctx.modified(key, Class::Stream, "xgroup-create");
    } else {
        ctx.modified_beside(key, Class::Stream, Some("xgroup-create"));
    }
    Ok(Reply::Ok)
}

fn set_id(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let options = Options::parse(args, false)?;
    let (key, name) = (args.bytes(2), args.bytes(3));
    let stream = stream(ctx, args)?;
    if stream.group(name).is_none() {
        return Err(ErrorReply::no_group(name, key));
    }
    let last = stream.last_id();
    if args.len() > 7 {
        return Err(wrong(args));
    }
    let id = id(args, Some(last), true)?;
    change(ctx, args, |group| {
        (group.last_id, group.entries_read) = (id, options.entries_read);
    })?;
    ctx.modified_beside(key, Class::Stream, Some("xgroup-setid"));
    Ok(Reply::Ok)
}

fn destroy(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    stream(ctx, args)?;
    let key = args.bytes(2);
    let removed = ctx.update(key, |stream: &mut Stream| stream.remove_group(args.bytes(3)))?;
    if removed == Some(true) {
        ctx.modified_beside(key, Class::Stream, Some("xgroup-destroy"));
    }
    Ok(Reply::from(removed == Some(true)))
}

fn create_consumer(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    stream(ctx, args)?;
    let now = ctx.now();
    let created = change(ctx, args, |group| group.create_consumer(args.bytes(4), now))?;
    if created {
        ctx.modified_beside(args.bytes(2), Class::Stream, Some("xgroup-createconsumer"));
    }
    Ok(Reply::from(created))
}

fn remove_consumer(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    stream(ctx, args)?;
    let removed = change(ctx, args, |group| group.remove_consumer(args.bytes(4)))?;
    if removed.is_some() {
        ctx.modified_beside(args.bytes(2), Class::Stream, Some("xgroup-delconsumer"));
    }
    Ok(Reply::count(removed.unwrap_or(0)))
}
