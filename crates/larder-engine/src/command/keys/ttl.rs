//! `TTL`, `PTTL`, `EXPIRETIME`, `PEXPIRETIME`: how long a key has, or until when; -1 forever, -2 no such key.
//!
//! Reference: <https://redis.io/commands/ttl/>. Seconds are rounded to the nearest, as Redis does.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
};

pub(super) const TTL: CommandSpec = CommandSpec {
    name: "TTL",
    summary: "Returns the expiration time in seconds of a key",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Generic,
    arity: Arity::exactly(2),
    flags: Flags::READONLY.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: |ctx, args| deadline(ctx, args, |at, now| seconds(at.saturating_sub(now))),
};

pub(super) const PTTL: CommandSpec = CommandSpec {
    name: "PTTL",
    summary: "Returns the expiration time in milliseconds of a key",
    since: "2.6.0",
    run: |ctx, args| deadline(ctx, args, u64::saturating_sub),
    ..TTL
};

pub(super) const EXPIRETIME: CommandSpec = CommandSpec {
    name: "EXPIRETIME",
    summary: "Returns the expiration time of a key as a Unix timestamp",
    since: "7.0.0",
    run: |ctx, args| deadline(ctx, args, |at, _| seconds(at)),
    ..TTL
};

pub(super) const PEXPIRETIME: CommandSpec = CommandSpec {
    name: "PEXPIRETIME",
    summary: "Returns the expiration time of a key as a Unix milliseconds timestamp",
    since: "7.0.0",
    run: |ctx, args| deadline(ctx, args, |at, _| at),
    ..TTL
};

const NO_KEY: i64 = -2;
const NO_DEADLINE: i64 = -1;

fn deadline(ctx: &mut Ctx<'_>, args: &Args<'_>, say: fn(u64, u64) -> u64) -> CommandResult {
    let now = ctx.now();
    let answer = match ctx.peek(args.bytes(1)) {
        None => NO_KEY,
        Some(entry) => entry.expires_at.map_or(NO_DEADLINE, |at| say(at, now) as i64),
    };
    Ok(Reply::Int(answer))
}

fn seconds(millis: u64) -> u64 {
    (millis + 500) / 1_000
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn the_deadline_is_told_in_four_ways() {
        Shell::new().check(
            r"
            TTL none => (int) -2
            EXPIRETIME none => (int) -2
            SET k v => OK
            PTTL k => (int) -1
            PEXPIRETIME k => (int) -1
            PEXPIREAT k 1767225601499 => (int) 1
            PTTL k => (int) 1499
            TTL k => (int) 1
            PEXPIRETIME k => (int) 1767225601499
            EXPIRETIME k => (int) 1767225601
            ",
        );
    }
}
