//! `SINTER`, `SUNION`, `SDIFF key [key ...]` and `SMEMBERS key`: the intersection, union or difference of sets. With
//! `STORE` and a destination first, the result replaces what is there and its size is the answer.
//!
//! Reference: <https://redis.io/commands/sinter/>, <https://redis.io/commands/sunion/>,
//! <https://redis.io/commands/sdiff/>, <https://redis.io/commands/smembers/>,
//! <https://redis.io/commands/sinterstore/>, <https://redis.io/commands/sunionstore/>,
//! <https://redis.io/commands/sdiffstore/>.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    value::{Kind, Set},
};

pub(super) const SINTER: CommandSpec = CommandSpec {
    name: "SINTER",
    summary: "Returns the intersect of multiple sets",
    since: "1.0.0",
    complexity: "O(N*M) worst case where N is the size of the smallest set and M is the number of sets",
    group: Group::Set,
    arity: Arity::at_least(2),
    flags: Flags::READONLY,
    keys: KeySpec::all(),
    subcommands: &[],
    run: |ctx, args| list(ctx, args, intersection),
};

pub(super) const SUNION: CommandSpec = CommandSpec {
    name: "SUNION",
    summary: "Returns the union of multiple sets",
    complexity: "O(N) where N is the total number of members in all sets",
    run: |ctx, args| list(ctx, args, union),
    ..SINTER
};

pub(super) const SDIFF: CommandSpec = CommandSpec {
    name: "SDIFF",
    summary: "Returns the difference of multiple sets",
    complexity: "O(N) where N is the total number of members in all sets",
    run: |ctx, args| list(ctx, args, difference),
    ..SINTER
};

pub(super) const SMEMBERS: CommandSpec = CommandSpec {
    name: "SMEMBERS",
    summary: "Returns all members of a set",
    complexity: "O(N) where N is the set size",
    arity: Arity::exactly(2),
    keys: KeySpec::first(),
    ..SUNION
};

pub(super) const SINTERSTORE: CommandSpec = CommandSpec {
    name: "SINTERSTORE",
    summary: "Stores the intersect of multiple sets in a key",
    arity: Arity::at_least(3),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    run: |ctx, args| store(ctx, args, intersection, "sinterstore"),
    ..SINTER
};

pub(super) const SUNIONSTORE: CommandSpec = CommandSpec {
    name: "SUNIONSTORE",
    summary: "Stores the union of multiple sets in a key",
    complexity: "O(N) where N is the total number of members in all sets",
    run: |ctx, args| store(ctx, args, union, "sunionstore"),
    ..SINTERSTORE
};

pub(super) const SDIFFSTORE: CommandSpec = CommandSpec {
    name: "SDIFFSTORE",
    summary: "Stores the difference of multiple sets in a key",
    complexity: "O(N) where N is the total number of members in all sets",
    run: |ctx, args| store(ctx, args, difference, "sdiffstore"),
    ..SINTERSTORE
};

/// Combines sets, none where the key is absent.
type Combine = fn(&[Option<&Set>]) -> Set;

fn list(ctx: &mut Ctx<'_>, args: &Args<'_>, combine: Combine) -> CommandResult {
    let result = combine(&sets(ctx, args.rest(1))?);
    Ok(Reply::Set(result.iter().map(Reply::bulk).collect()))
}

fn store(ctx: &mut Ctx<'_>, args: &Args<'_>, combine: Combine, event: &'static str) -> CommandResult {
    let result = combine(&sets(ctx, args.rest(2))?);
    let (destination, size) = (args.bytes(1), result.len());
    if !result.is_empty() {
        ctx.put(destination, result.into_value(), None);
        ctx.modified(destination, Class::Set, event);
    } else if ctx.remove(destination).is_some() {
        ctx.modified(destination, Class::Generic, "del");
    }
    Ok(Reply::count(size))
}

/// The sets at these keys; an error if one of them is something else.
pub(super) fn sets<'c>(ctx: &'c mut Ctx<'_>, keys: &[&[u8]]) -> Result<Vec<Option<&'c Set>>, ErrorReply> {
    for key in keys {
        ctx.read::<Set>(key)?;
    }
    let db = &*ctx.db();
    let set = |key: &&[u8]| db.entry(key).and_then(|entry| Set::of(&entry.value));
    Ok(keys.iter().map(set).collect())
}

/// The members that every one of these sets has, from the smallest one.
pub(super) fn common<'s>(sets: &[Option<&'s Set>]) -> impl Iterator<Item = &'s [u8]> {
    let all: Option<Vec<&Set>> = sets.iter().copied().collect();
    let mut all = all.unwrap_or_default();
    all.sort_by_key(|set| set.len());
    let smallest = all.first().copied();
    smallest
        .into_iter()
        .flat_map(Set::iter)
        .filter(move |member| all.iter().all(|set| set.contains(member)))
}

fn intersection(sets: &[Option<&Set>]) -> Set {
    common(sets).collect()
}

fn union(sets: &[Option<&Set>]) -> Set {
    sets.iter().copied().flatten().flat_map(Set::iter).collect()
}

fn difference(sets: &[Option<&Set>]) -> Set {
    let [Some(first), rest @ ..] = sets else {
        return Set::default();
    };
    let elsewhere = |member: &&[u8]| rest.iter().flatten().any(|set| set.contains(member));
    first.iter().filter(|member| !elsewhere(member)).collect()
}
