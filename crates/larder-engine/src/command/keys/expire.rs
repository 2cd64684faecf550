//! `EXPIRE`, `PEXPIRE`, `EXPIREAT`, `PEXPIREAT` with `NX | XX | GT | LT`, and `PERSIST`: sets or clears a deadline.
//!
//! Reference: <https://redis.io/commands/expire/>. A deadline in the past deletes the key. For `GT` and `LT` a key
//! without a deadline lives forever.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec, expiry::Unit},
    ctx::Ctx,
    notify::Class,
};

pub(super) const EXPIRE: CommandSpec = CommandSpec {
    name: "EXPIRE",
    summary: "Sets the expiration time of a key in seconds",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Generic,
    arity: Arity::at_least(3),
    flags: Flags::WRITE.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: |ctx, args| expire(ctx, args, Unit::Seconds, "expire"),
};

pub(super) const PEXPIRE: CommandSpec = CommandSpec {
    name: "PEXPIRE",
    summary: "Sets the expiration time of a key in milliseconds",
    since: "2.6.0",
    run: |ctx, args| expire(ctx, args, Unit::Millis, "pexpire"),
    ..EXPIRE
};

pub(super) const EXPIREAT: CommandSpec = CommandSpec {
    name: "EXPIREAT",
    summary: "Sets the expiration time of a key to a Unix timestamp",
    since: "1.2.0",
    run: |ctx, args| expire(ctx, args, Unit::AtSeconds, "expireat"),
    ..EXPIRE
};

pub(super) const PEXPIREAT: CommandSpec = CommandSpec {
    name: "PEXPIREAT",
    summary: "Sets the expiration time of a key to a Unix milliseconds timestamp",
    since: "2.6.0",
    run: |ctx, args| expire(ctx, args, Unit::AtMillis, "pexpireat"),
    ..EXPIRE
};

pub(super) const PERSIST: CommandSpec = CommandSpec {
    name: "PERSIST",
    summary: "Removes the expiration time of a key",
    since: "2.2.0",
    arity: Arity::exactly(2),
    run: persist,
    ..EXPIRE
};

/// When a deadline is set at all.
#[derive(Default)]
struct Conditions {
    absent: bool,
    present: bool,
    later: bool,
    earlier: bool,
}

impl Conditions {
    fn parse(args: &Args<'_>) -> Result<Self, ErrorReply> {
        let mut conditions = Self::default();
        for i in 3..args.len() {
            let flag = match () {
                () if args.is(i, "NX") => &mut conditions.absent,
                () if args.is(i, "XX") => &mut conditions.present,
                () if args.is(i, "GT") => &mut conditions.later,
                () if args.is(i, "LT") => &mut conditions.earlier,
                () => return Err(ErrorReply::unsupported_option(args.bytes(i))),
            };
            *flag = true;
        }
        conditions.check()
    }

    fn check(self) -> Result<Self, ErrorReply> {
        if self.absent && (self.present || self.later || self.earlier) {
            let text = "ERR NX and XX, GT or LT options at the same time are not compatible";
            return Err(ErrorReply::new(text));
        }
        if self.later && self.earlier {
            return Err(ErrorReply::new(
                "ERR GT and LT options at the same time are not compatible",
            ));
        }
        Ok(self)
    }

    fn allow(&self, known: Option<u64>, wanted: i64) -> bool {
        let known = known.map(|at| at as i64);
        let refused = self.absent && known.is_some()
            || self.present && known.is_none()
            || self.later && known.is_none_or(|at| wanted <= at)
            || self.earlier && known.is_some_and(|at| wanted >= at);
        !refused
    }
}

fn expire(ctx: &mut Ctx<'_>, args: &Args<'_>, unit: Unit, name: &str) -> CommandResult {
    let conditions = Conditions::parse(args)?;
    let at = unit
        .deadline(args.int(2)?, ctx.now())
        .ok_or_else(|| ErrorReply::invalid_expire(name))?;
    let key = args.bytes(1);
    let Some(known) = ctx.entry(key).map(|entry| entry.expires_at) else {
        return Ok(false.into());
    };
    if !conditions.allow(known, at) {
        return Ok(false.into());
    }
    // What is read from the log goes when the log says so.
    let is_ahead = |at: &u64| *at > ctx.now() || ctx.core.effects.is_loading;
    match u64::try_from(at).ok().filter(is_ahead) {
        Some(at) => {
            ctx.db().set_deadline(key, Some(at));
            ctx.tell_deadline(key, at);
            ctx.modified(key, Class::Generic, "expire");
        }
        None => {
            ctx.remove(key);
            ctx.tell(&[b"DEL", key]);
            ctx.modified(key, Class::Generic, "del");
        }
    }
    Ok(true.into())
}

fn persist(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let key = args.bytes(1);
    let had_deadline = ctx.entry(key).is_some_and(|entry| entry.expires_at.is_some());
    if had_deadline {
        ctx.db().set_deadline(key, None);
        ctx.modified(key, Class::Generic, "persist");
    }
    Ok(Reply::from(had_deadline))
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn conditions_compare_with_the_deadline_that_is_there() {
        Shell::new().check(
            r"
            SET k v => OK
            EXPIRE k 100 XX => (int) 0
            EXPIRE k 100 GT => (int) 0
            EXPIRE k 100 LT => (int) 1
            EXPIRE k 50 NX => (int) 0
            EXPIRE k 50 GT => (int) 0
            EXPIRE k 100 GT => (int) 0
            EXPIRE k 200 GT XX => (int) 1
            EXPIRE k 300 LT => (int) 0
            TTL k => (int) 200
            PERSIST k => (int) 1
            PERSIST k => (int) 0
            EXPIRE k 100 NX => (int) 1
            EXPIRE none 100 => (int) 0
            ",
        );
    }

    #[test]
    fn contradictions_and_overflows_are_named() {
        Shell::new().check(
            r"
            SET k v => OK
            EXPIRE k 1 NX XX => ERR NX and XX, GT or LT options at the same time are not compatible
            EXPIRE k 1 GT LT => ERR GT and LT options at the same time are not compatible
            EXPIRE k 1 AB => ERR Unsupported option AB
            EXPIRE k 9223372036854775807 => ERR invalid expire time in 'expire' command
            EXPIRE k -9223372036854775808 => ERR invalid expire time in 'expire' command
            PEXPIRE k 9223372036854775807 => ERR invalid expire time in 'pexpire' command
            EXPIRE k x => ERR value is not an integer or out of range
            EXPIREAT k 1 => (int) 1
            EXISTS k => (int) 0
            ",
        );
    }

    #[test]
    fn a_negative_span_deletes_at_once() {
        Shell::new().check("SET k v => OK\n PEXPIRE k -1 => (int) 1\n DBSIZE => (int) 0");
    }
}
