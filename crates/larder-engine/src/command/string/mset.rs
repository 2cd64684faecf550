//! `MSET key value [key value ...]`, `MSETNX`: several strings at once; `MSETNX` all or none.
//!
//! Reference: <https://redis.io/commands/mset/>, <https://redis.io/commands/msetnx/>.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec, string::set::store},
    ctx::Ctx,
};

pub(super) const MSET: CommandSpec = CommandSpec {
    name: "MSET",
    summary: "Atomically creates or modifies the string values of one or more keys",
    since: "1.0.1",
    complexity: "O(N) where N is the number of keys to set",
    group: Group::String,
    arity: Arity::at_least(3),
    flags: Flags::WRITE.and(Flags::DENYOOM),
    keys: KeySpec::Range {
        first: 1,
        last: -1,
        step: 2,
    },
    subcommands: &[],
    run: mset,
};

pub(super) const MSETNX: CommandSpec = CommandSpec {
    name: "MSETNX",
    summary: "Atomically modifies the string values of one or more keys only when all keys don't exist",
    run: msetnx,
    ..MSET
};

fn pairs<'a>(args: &Args<'a>, name: &str) -> Result<&'a [[&'a [u8]; 2]], ErrorReply> {
    match args.rest(1).as_chunks() {
        (pairs, []) => Ok(pairs),
        _ => Err(ErrorReply::wrong_arity(name)),
    }
}

fn mset(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    for [key, value] in pairs(args, "mset")? {
        store(ctx, key, value, None);
    }
    Ok(Reply::Ok)
}

fn msetnx(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let pairs = pairs(args, "msetnx")?;
    if pairs.iter().any(|[key, _]| ctx.exists(key)) {
        return Ok(false.into());
    }
    for [key, value] in pairs {
        store(ctx, key, value, None);
    }
    Ok(true.into())
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn msetnx_writes_all_or_none() {
        Shell::new().check(
            r#"
            MSET a 1 b 2 a 3 => OK
            MGET a b => ["3" "2"]
            MSETNX b 9 c 9 => (int) 0
            EXISTS c => (int) 0
            MSETNX c 1 d 2 => (int) 1
            MSET a 1 b => ERR wrong number of arguments for 'mset' command
            MSETNX a 1 b => ERR wrong number of arguments for 'msetnx' command
            "#,
        );
    }
}
