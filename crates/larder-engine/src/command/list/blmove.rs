//! `BLMOVE source destination LEFT|RIGHT LEFT|RIGHT timeout`: as `LMOVE`, but waits for an element to come. `BRPOPLPUSH`,
//! its elder, moves from the right to the left.
//!
//! Reference: <https://redis.io/commands/blmove/>, <https://redis.io/commands/brpoplpush/>.

use crate::{
    Reply,
    command::{
        Args, Arity, CommandResult, CommandSpec, Flags,
        list::lmove::{LMOVE, end, shift},
        timeout,
    },
    ctx::Ctx,
    db::Key,
    value::{End, List},
    wait::Waiting,
};

pub(super) const BLMOVE: CommandSpec = CommandSpec {
    name: "BLMOVE",
    summary: "Pops an element from a list, pushes it to another list and returns it, or blocks until one is available",
    arity: Arity::exactly(6),
    flags: Flags::WRITE
        .and(Flags::DENYOOM)
        .and(Flags::NOSCRIPT)
        .and(Flags::BLOCKING),
    run: |ctx, args| {
        let (from, to) = (end(args, 3)?, end(args, 4)?);
        shift_late(ctx, args, from, to, 5)
    },
    ..LMOVE
};

pub(super) const BRPOPLPUSH: CommandSpec = CommandSpec {
    name: "BRPOPLPUSH",
    since: "2.2.0",
    arity: Arity::exactly(4),
    run: |ctx, args| shift_late(ctx, args, End::Right, End::Left, 3),
    ..BLMOVE
};

fn shift_late(ctx: &mut Ctx<'_>, args: &Args<'_>, from: End, to: End, timeout_at: usize) -> CommandResult {
    let timeout = timeout::seconds(args, timeout_at)?;
    let (source, destination) = (args.bytes(1), args.bytes(2));
    if ctx.read::<List>(source)?.is_some() {
        return shift_and_tell(ctx, source, destination, from, to);
    }
    let target = Key::from(destination);
    let wanted = {
        let target = target.clone();
        move |ctx: &mut Ctx<'_>, key: &[u8]| {
            ctx.holds::<List>(key)
                .then(|| shift_and_tell(ctx, key, &target, from, to))
        }
    };
    let mut waiting = Waiting::on(ctx, &[source], timeout, Box::new(wanted));
    waiting.destination = Some(target);
    Ok(ctx.wait(waiting).unwrap_or(Reply::Null))
}

fn shift_and_tell(ctx: &mut Ctx<'_>, source: &[u8], destination: &[u8], from: End, to: End) -> CommandResult {
    let moved = shift(ctx, source, destination, from, to)?;
    ctx.tell(&[b"LMOVE", source, destination, word(from), word(to)]);
    Ok(moved)
}

const fn word(end: End) -> &'static [u8] {
    match end {
        End::Left => b"LEFT",
        End::Right => b"RIGHT",
    }
}
