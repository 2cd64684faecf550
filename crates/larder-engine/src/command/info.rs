//! What `COMMAND` and `ACL CAT` tell of a command, derived from its spec.

use crate::{
    Reply,
    command::{Args, CommandSpec, Flags, Group, KeySpec},
};

/// The categories, in Redis's order.
pub(crate) const CATEGORIES: [&str; 21] = [
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

impl Group {
    /// As `COMMAND DOCS` names it.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Bitmap => "bitmap",
            Self::HyperLogLog => "hyperloglog",
            Self::String => "string",
            Self::Hash => "hash",
            Self::List => "list",
            Self::Set => "set",
            Self::SortedSet => "sorted-set",
            Self::Stream => "stream",
            Self::Generic => "generic",
            Self::Connection => "connection",
            Self::Server => "server",
            Self::Scripting => "scripting",
            Self::Transactions => "transactions",
            Self::PubSub => "pubsub",
        }
    }

    const fn category(self) -> Option<&'static str> {
        match self {
            Self::SortedSet => Some("sortedset"),
            Self::Generic => Some("keyspace"),
            Self::Server | Self::PubSub => None,
            Self::Transactions => Some("transaction"),
            other => Some(other.label()),
        }
    }
}

/// The categories of a command: of its flags, and of its family unless it is a container.
pub(crate) fn categories(spec: &CommandSpec) -> Vec<&'static str> {
    let has = |flag| spec.flags.has(flag);
    let is_container = !spec.subcommands.is_empty();
    let family = if is_container { None } else { spec.group.category() };
    let is_scripting = matches!(spec.group, Group::Scripting);
    CATEGORIES
        .into_iter()
        .filter(|category| match *category {
            "write" => has(Flags::WRITE),
            "read" => has(Flags::READONLY) && !is_scripting,
            "admin" | "dangerous" => has(Flags::ADMIN),
            "pubsub" => has(Flags::PUBSUB),
            "fast" => has(Flags::FAST),
            "slow" => !has(Flags::FAST),
            "blocking" => has(Flags::BLOCKING),
            other => family == Some(other),
        })
        .collect()
}

/// The entry of `COMMAND INFO`.
pub(crate) fn entry(spec: &CommandSpec) -> Reply {
    let (first, last, step) = spec.keys.positions();
    let flags = spec.flags.names().map(Reply::status).collect();
    let categories = categories(spec)
        .into_iter()
        .map(|name| Reply::status(format!("@{name}")));
    Reply::Array(vec![
        Reply::bulk(spec.name.to_ascii_lowercase()),
        Reply::Int(i64::from(spec.arity.signed())),
        Reply::Set(flags),
        Reply::Int(first),
        Reply::Int(last),
        Reply::Int(step),
        Reply::Set(categories.collect()),
        Reply::Set(Vec::new()),
        Reply::Set(key_specs(spec)),
        Reply::Set(spec.subcommands.iter().map(|sub| entry(sub)).collect()),
    ])
}

/// The entry of `COMMAND DOCS`: name and description.
pub(crate) fn docs(spec: &CommandSpec) -> (Reply, Reply) {
    let mut fields = vec![
        (Reply::bulk("summary"), Reply::bulk(spec.summary)),
        (Reply::bulk("since"), Reply::bulk(spec.since)),
        (Reply::bulk("group"), Reply::bulk(spec.group.label())),
        (Reply::bulk("complexity"), Reply::bulk(spec.complexity)),
    ];
    if !spec.subcommands.is_empty() {
        let subcommands = spec.subcommands.iter().map(|sub| docs(sub)).collect();
        fields.push((Reply::bulk("subcommands"), Reply::Map(subcommands)));
    }
    (Reply::bulk(spec.name.to_ascii_lowercase()), Reply::Map(fields))
}

impl KeySpec {
    /// First key, last key and step as `COMMAND INFO` gives them; zeros where a count decides.
    fn positions(&self) -> (i64, i64, i64) {
        match *self {
            Self::Range { first, last, step } => (first as i64, i64::from(last), step as i64),
            Self::StoreCounted => (1, 1, 1),
            Self::None | Self::Counted { .. } | Self::HalfAfter { .. } => (0, 0, 0),
        }
    }
}

/// What a command does with its keys, in the words of key specs.
pub(crate) fn key_access(spec: &CommandSpec) -> Vec<&'static str> {
    if spec.flags.has(Flags::WRITE) {
        vec!["RW", "access", "update"]
    } else if spec.flags.has(Flags::READONLY) {
        vec!["RO", "access"]
    } else if spec.flags.has(Flags::PUBSUB) {
        vec!["not_key"]
    } else {
        vec!["RW", "access", "update"]
    }
}

fn key_specs(spec: &CommandSpec) -> Vec<Reply> {
    match spec.keys {
        KeySpec::None => Vec::new(),
        KeySpec::Range { first, last, step } => {
            let last = if last < 0 { last } else { last - first as i32 };
            vec![key_spec(spec, index(first), range(last, step, 0))]
        }
        KeySpec::Counted { count } => vec![key_spec(spec, index(count), counted())],
        KeySpec::HalfAfter { keyword, from } => vec![key_spec(spec, word(keyword, from), range(-1, 1, 2))],
        KeySpec::StoreCounted => vec![
            key_spec(spec, index(1), range(0, 1, 0)),
            key_spec(spec, index(2), counted()),
        ],
    }
}

fn key_spec(spec: &CommandSpec, begin: Reply, find: Reply) -> Reply {
    let flags = key_access(spec).into_iter().map(Reply::status).collect();
    Reply::Map(vec![
        (Reply::bulk("flags"), Reply::Set(flags)),
        (Reply::bulk("begin_search"), begin),
        (Reply::bulk("find_keys"), find),
    ])
}

/// The first key is at this position.
fn index(position: usize) -> Reply {
    typed("index", &[("index", Reply::count(position))])
}

/// The first key comes after this word.
fn word(keyword: &str, from: usize) -> Reply {
    typed(
        "keyword",
        &[("keyword", Reply::bulk(keyword)), ("startfrom", Reply::count(from))],
    )
}

/// The keys go on to `last`, every `step`-th; a limit of 2 stands for the first half.
fn range(last: i32, step: usize, limit: i64) -> Reply {
    let numbers = [("lastkey", i64::from(last)), ("keystep", step as i64), ("limit", limit)];
    typed("range", &numbers.map(|(name, number)| (name, Reply::Int(number))))
}

fn counted() -> Reply {
    let numbers = [("keynumidx", 0), ("firstkey", 1), ("keystep", 1)];
    typed("keynum", &numbers.map(|(name, number)| (name, Reply::Int(number))))
}

fn typed(kind: &str, fields: &[(&str, Reply)]) -> Reply {
    let fields = fields
        .iter()
        .map(|(name, value)| (Reply::bulk(name), value.clone()))
        .collect();
    Reply::Map(vec![
        (Reply::bulk("type"), Reply::bulk(kind)),
        (Reply::bulk("spec"), Reply::Map(fields)),
    ])
}

/// The keys of a command given in full.
pub(crate) fn keys_of<'a>(spec: &CommandSpec, args: &'a [&'a [u8]]) -> Vec<&'a [u8]> {
    spec.keys.of(&Args::new(args)).collect()
}
