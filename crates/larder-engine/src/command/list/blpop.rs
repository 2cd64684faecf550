//! `BLPOP`, `BRPOP key [key ...] timeout`: takes an element from the first of these lists that is there, or from the
//! first to come; answers its key and the element.
//!
//! Reference: <https://redis.io/commands/blpop/>, <https://redis.io/commands/brpop/>.

use crate::{
    Reply,
    command::{
        Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec,
        list::pop::{take, tell},
        timeout,
    },
    ctx::Ctx,
    value::{End, List},
    wait::{TIMED_OUT, Waiting},
};

pub(super) const BLPOP: CommandSpec = CommandSpec {
    name: "BLPOP",
    summary: "Removes and returns the first element in a list, or blocks until one is available",
    since: "2.0.0",
    complexity: "O(N) where N is the number of provided keys",
    group: Group::List,
    arity: Arity::at_least(3),
    flags: Flags::WRITE.and(Flags::NOSCRIPT).and(Flags::BLOCKING),
    keys: KeySpec::Range {
        first: 1,
        last: -2,
        step: 1,
    },
    subcommands: &[],
    run: |ctx, args| pop(ctx, args, End::Left),
};

pub(super) const BRPOP: CommandSpec = CommandSpec {
    name: "BRPOP",
    summary: "Removes and returns the last element in a list, or blocks until one is available",
    run: |ctx, args| pop(ctx, args, End::Right),
    ..BLPOP
};

fn pop(ctx: &mut Ctx<'_>, args: &Args<'_>, end: End) -> CommandResult {
    let last = args.len() - 1;
    let timeout = timeout::seconds(args, last)?;
    let keys = &args.all()[1..last];
    for key in keys {
        if ctx.read::<List>(key)?.is_some() {
            return pop_one(ctx, key, end);
        }
    }
    let wanted = move |ctx: &mut Ctx<'_>, key: &[u8]| ctx.holds::<List>(key).then(|| pop_one(ctx, key, end));
    let waiting = Waiting::on(ctx, keys, timeout, Box::new(wanted));
    Ok(ctx.wait(waiting).unwrap_or(TIMED_OUT))
}

/// Takes from a list that is there.
fn pop_one(ctx: &mut Ctx<'_>, key: &[u8], end: End) -> CommandResult {
    let taken = take(ctx, key, end, 1)?.unwrap_or_default();
    tell(ctx, key, end, None);
    let element = taken.first().expect("the list was just seen, and no list is empty");
    Ok(Reply::bulks([key, element]))
}
