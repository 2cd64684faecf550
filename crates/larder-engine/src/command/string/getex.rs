//! `GETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST]`: the string at `key`, with a new deadline or none.
//!
//! Reference: <https://redis.io/commands/getex/>. A moment that has passed deletes the key.

use crate::{
    ErrorReply, Reply,
    command::{
        Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec,
        expiry::{Unit, positive_deadline},
    },
    ctx::Ctx,
    notify::Class,
    value::Text,
};

pub(super) const GETEX: CommandSpec = CommandSpec {
    name: "GETEX",
    summary: "Returns the string value of a key after setting its expiration time",
    since: "6.2.0",
    complexity: "O(1)",
    group: Group::String,
    arity: Arity::at_least(2),
    flags: Flags::WRITE.and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: getex,
};

enum Change<'a> {
    Nothing,
    Persist,
    Expire(Unit, &'a [u8]),
}

fn parse<'a>(args: &Args<'a>) -> Result<Change<'a>, ErrorReply> {
    let mut change = Change::Nothing;
    let mut i = 2;
    while i < args.len() {
        let (next, taken) = if args.is(i, "PERSIST") && !matches!(change, Change::Expire(..)) {
            (Change::Persist, 1)
        } else {
            let unit = Unit::of_option(args, i).ok_or(ErrorReply::SYNTAX)?;
            let amount = args.get(i + 1).ok_or(ErrorReply::SYNTAX)?;
            match change {
                Change::Persist => return Err(ErrorReply::SYNTAX),
                Change::Expire(known, _) if known != unit => return Err(ErrorReply::SYNTAX),
                _ => (Change::Expire(unit, amount), 2),
            }
        };
        change = next;
        i += taken;
    }
    Ok(change)
}

fn getex(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let key = args.bytes(1);
    let change = parse(args)?;
    let Some(text) = ctx.read::<Text>(key)? else {
        return Ok(Reply::Null);
    };
    let reply = Reply::bulk(text.bytes());
    match change {
        Change::Nothing => {}
        Change::Persist => persist(ctx, key),
        Change::Expire(unit, amount) => {
            let expires_at = positive_deadline(amount, unit, ctx.now(), "getex")?;
            expire(ctx, key, unit, expires_at);
        }
    }
    Ok(reply)
}

fn persist(ctx: &mut Ctx<'_>, key: &[u8]) {
    if ctx.peek(key).is_some_and(|entry| entry.expires_at.is_some()) {
        ctx.db().set_deadline(key, None);
        ctx.tell(&[b"PERSIST", key]);
        ctx.modified(key, Class::Generic, "persist");
    }
}

fn expire(ctx: &mut Ctx<'_>, key: &[u8], unit: Unit, expires_at: u64) {
    if unit.is_absolute() && expires_at <= ctx.now() {
        ctx.remove(key);
        ctx.tell(&[b"DEL", key]);
        ctx.modified(key, Class::Generic, "del");
    } else {
        ctx.db().set_deadline(key, Some(expires_at));
        ctx.tell_deadline(key, expires_at);
        ctx.modified(key, Class::Generic, "expire");
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn the_deadline_changes_and_the_value_is_the_reply() {
        Shell::new().check(
            r#"
            SET k v => OK
            GETEX k EX 10 => "v"
            TTL k => (int) 10
            GETEX k => "v"
            TTL k => (int) 10
            GETEX k PERSIST => "v"
            TTL k => (int) -1
            GETEX k EX 1 PX 1 => ERR syntax error
            GETEX k PERSIST EX 1 => ERR syntax error
            GETEX k NX => ERR syntax error
            GETEX k EX 0 => ERR invalid expire time in 'getex' command
            GETEX k PXAT 5 => "v"
            EXISTS k => (int) 0
            GETEX k EX 0 => nil
            "#,
        );
    }
}
