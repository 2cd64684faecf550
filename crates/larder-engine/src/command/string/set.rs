//! `SET key value [NX | XX] [GET] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]` and its old forms `SETNX`, `SETEX`,
//! `PSETEX`, `GETSET`.
//!
//! Reference: <https://redis.io/commands/set/>. With `GET` the old value is the reply, written or not; a key of
//! another type is then an error.

use crate::{
    ErrorReply, Reply,
    command::{
        Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec,
        expiry::{Unit, positive_deadline},
    },
    ctx::Ctx,
    notify::Class,
    value::{Kind, Text},
};

pub(super) const SET: CommandSpec = CommandSpec {
    name: "SET",
    summary: "Sets the string value of a key, ignoring its type",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::String,
    arity: Arity::at_least(3),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    keys: KeySpec::first(),
    subcommands: &[],
    run: set,
};

pub(super) const SETNX: CommandSpec = CommandSpec {
    name: "SETNX",
    summary: "Sets the string value of a key only when the key doesn't exist",
    arity: Arity::exactly(3),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    run: setnx,
    ..SET
};

pub(super) const SETEX: CommandSpec = CommandSpec {
    name: "SETEX",
    summary: "Sets the string value and expiration time of a key",
    since: "2.0.0",
    arity: Arity::exactly(4),
    run: |ctx, args| set_with_ttl(ctx, args, Unit::Seconds, "setex"),
    ..SET
};

pub(super) const PSETEX: CommandSpec = CommandSpec {
    name: "PSETEX",
    summary: "Sets both string value and expiration time in milliseconds of a key",
    since: "2.6.0",
    arity: Arity::exactly(4),
    run: |ctx, args| set_with_ttl(ctx, args, Unit::Millis, "psetex"),
    ..SET
};

pub(super) const GETSET: CommandSpec = CommandSpec {
    name: "GETSET",
    summary: "Returns the previous string value of a key after setting it to a new value",
    arity: Arity::exactly(3),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    run: getset,
    ..SET
};

/// When to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Only {
    Always,
    IfAbsent,
    IfPresent,
}

struct Options<'a> {
    only: Only,
    get: bool,
    keep_ttl: bool,
    expiry: Option<(Unit, &'a [u8])>,
}

impl<'a> Options<'a> {
    fn parse(args: &Args<'a>) -> Result<Self, ErrorReply> {
        let mut options = Self {
            only: Only::Always,
            get: false,
            keep_ttl: false,
            expiry: None,
        };
        let mut i = 3;
        while i < args.len() {
            i += options.take(args, i).ok_or(ErrorReply::SYNTAX)?;
        }
        Ok(options)
    }

    /// Takes the option at `i`; how many arguments it had, or `None` if it does not belong here.
    fn take(&mut self, args: &Args<'a>, i: usize) -> Option<usize> {
        if args.is(i, "NX") && self.only != Only::IfPresent {
            self.only = Only::IfAbsent;
        } else if args.is(i, "XX") && self.only != Only::IfAbsent {
            self.only = Only::IfPresent;
        } else if args.is(i, "GET") {
            self.get = true;
        } else if args.is(i, "KEEPTTL") && self.expiry.is_none() {
            self.keep_ttl = true;
        } else {
            let unit = Unit::of_option(args, i)?;
            let amount = args.get(i + 1)?;
            // The same option twice is Redis's way: the last one counts. Two different ones contradict.
            let same = self.expiry.is_none_or(|(known, _)| known == unit);
            if self.keep_ttl || !same {
                return None;
            }
            self.expiry = Some((unit, amount));
            return Some(2);
        }
        Some(1)
    }
}

fn set(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    if args.len() == 3 {
        store(ctx, args.bytes(1), args.bytes(2), None);
        return Ok(Reply::Ok);
    }
    let key = args.bytes(1);
    let options = Options::parse(args)?;
    let expires_at = match options.expiry {
        Some((unit, amount)) => Some(positive_deadline(amount, unit, ctx.now(), "set")?),
        None => None,
    };
    let old = if options.get {
        Some(Reply::bulk_or_null(ctx.read::<Text>(key)?.map(Text::bytes)))
    } else {
        None
    };
    let known = ctx.peek(key).map(|entry| entry.expires_at);
    let refused = match options.only {
        Only::Always => false,
        Only::IfAbsent => known.is_some(),
        Only::IfPresent => known.is_none(),
    };
    if refused {
        return Ok(old.unwrap_or(Reply::Null));
    }
    let kept = known.flatten().filter(|_| options.keep_ttl);
    store(ctx, key, args.bytes(2), expires_at.or(kept));
    if let Some(at) = expires_at {
        ctx.tell_set(key, args.bytes(2), at);
        ctx.event(key, Class::Generic, "expire");
    }
    Ok(old.unwrap_or(Reply::Ok))
}

/// Writes a string whatever was there, and announces it.
pub(super) fn store(ctx: &mut Ctx<'_>, key: &[u8], value: &[u8], expires_at: Option<u64>) {
    ctx.put(key, Text::new(value).into_value(), expires_at);
    ctx.modified(key, Class::String, "set");
}

fn setnx(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let absent = !ctx.exists(args.bytes(1));
    if absent {
        store(ctx, args.bytes(1), args.bytes(2), None);
    }
    Ok(absent.into())
}

fn set_with_ttl(ctx: &mut Ctx<'_>, args: &Args<'_>, unit: Unit, name: &str) -> CommandResult {
    let expires_at = positive_deadline(args.bytes(2), unit, ctx.now(), name)?;
    store(ctx, args.bytes(1), args.bytes(3), Some(expires_at));
    ctx.tell_set(args.bytes(1), args.bytes(3), expires_at);
    ctx.event(args.bytes(1), Class::Generic, "expire");
    Ok(Reply::Ok)
}

fn getset(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let old = Reply::bulk_or_null(ctx.read::<Text>(args.bytes(1))?.map(Text::bytes));
    store(ctx, args.bytes(1), args.bytes(2), None);
    Ok(old)
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn conditions_decide_whether_a_value_is_written() {
        Shell::new().check(
            r#"
            SET k 1 XX => nil
            SET k 1 NX => OK
            SET k 2 NX => nil
            SET k 3 NX GET => "1"
            SET k 4 XX GET => "1"
            SET absent 1 XX GET => nil
            SETNX k 5 => (int) 0
            SETNX n 5 => (int) 1
            GET k => "4"
            GETSET k 6 => "4"
            GETSET absent 6 => nil
            "#,
        );
    }

    #[test]
    fn contradicting_options_are_a_syntax_error() {
        Shell::new().check(
            r"
            SET k v NX XX => ERR syntax error
            SET k v EX 1 PX 1 => ERR syntax error
            SET k v KEEPTTL EX 1 => ERR syntax error
            SET k v EX 1 KEEPTTL => ERR syntax error
            SET k v EX => ERR syntax error
            SET k v PERSIST => ERR syntax error
            SET k v EX 1 EX 2 => OK
            TTL k => (int) 2
            ",
        );
    }

    #[test]
    fn a_deadline_must_be_positive_and_fit() {
        Shell::new().check(
            r"
            SET k v EX 0 => ERR invalid expire time in 'set' command
            SET k v PX -1 => ERR invalid expire time in 'set' command
            SET k v EX x => ERR value is not an integer or out of range
            SET k v EX 9223372036854775807 => ERR invalid expire time in 'set' command
            SET k v PX 9223372036854775807 => ERR invalid expire time in 'set' command
            SETEX k 0 v => ERR invalid expire time in 'setex' command
            PSETEX k 0 v => ERR invalid expire time in 'psetex' command
            EXISTS k => (int) 0
            ",
        );
    }

    #[test]
    fn a_write_drops_the_deadline_unless_told_to_keep_it() {
        let shell = Shell::new();
        shell.check(
            r"
            SET k v PX 1500 => OK
            PTTL k => (int) 1500
            SET k w KEEPTTL => OK
            PTTL k => (int) 1500
            SET k w => OK
            PTTL k => (int) -1
            SETEX k 10 v => OK
            TTL k => (int) 10
            PSETEX k 1500 v => OK
            PTTL k => (int) 1500
            ",
        );
        shell.advance(1_499);
        shell.check("GET k => \"v\"");
        shell.advance(1);
        shell.check("GET k => nil\n SET k v PXAT 1 => OK\n GET k => nil");
    }

    #[test]
    fn get_of_another_type_is_an_error_and_changes_nothing() {
        Shell::new().check(
            r"
            HSET h f v => (int) 1
            SET h v GET => WRONGTYPE Operation against a key holding the wrong kind of value
            GETSET h v => WRONGTYPE Operation against a key holding the wrong kind of value
            TYPE h => hash
            SET h v => OK
            TYPE h => string
            ",
        );
    }
}
