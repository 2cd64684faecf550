//! `RENAME key newkey`, `RENAMENX`: another name for a key, with its deadline.
//!
//! Reference: <https://redis.io/commands/rename/>, <https://redis.io/commands/renamenx/>.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
};

pub(super) const RENAME: CommandSpec = CommandSpec {
    name: "RENAME",
    summary: "Renames a key and overwrites the destination",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Generic,
    arity: Arity::exactly(3),
    flags: Flags::WRITE,
    keys: KeySpec::Range {
        first: 1,
        last: 2,
        step: 1,
    },
    subcommands: &[],
    run: |ctx, args| Ok(rename(ctx, args, true)?.map_or(Reply::Ok, |_| Reply::Ok)),
};

pub(super) const RENAMENX: CommandSpec = CommandSpec {
    name: "RENAMENX",
    summary: "Renames a key only when the target key name doesn't exist",
    flags: Flags::WRITE.and(Flags::FAST),
    run: |ctx, args| Ok(rename(ctx, args, false)?.is_some().into()),
    ..RENAME
};

/// Moves the entry; `None` if nothing was to be done or the destination is kept.
fn rename(ctx: &mut Ctx<'_>, args: &Args<'_>, overwrite: bool) -> Result<Option<()>, ErrorReply> {
    let (from, to) = (args.bytes(1), args.bytes(2));
    if !ctx.exists(from) {
        return Err(ErrorReply::NO_SUCH_KEY);
    }
    if from == to || (ctx.exists(to) && !overwrite) {
        return Ok(None);
    }
    let entry = ctx.remove(from).ok_or(ErrorReply::NO_SUCH_KEY)?;
    ctx.put(to, entry.value, entry.expires_at);
    ctx.modified(from, Class::Generic, "rename_from");
    ctx.modified(to, Class::Generic, "rename_to");
    Ok(Some(()))
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn the_value_and_its_deadline_get_another_name() {
        Shell::new().check(
            r#"
            RENAME a b => ERR no such key
            SET a 1 PX 1000 => OK
            RENAME a a => OK
            RENAMENX a a => (int) 0
            RENAME a b => OK
            PTTL b => (int) 1000
            SET c 2 => OK
            RENAMENX b c => (int) 0
            RENAME c b => OK
            GET b => "2"
            PTTL b => (int) -1
            RENAMENX b d => (int) 1
            KEYS * => ["d"]
            "#,
        );
    }
}
