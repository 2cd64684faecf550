//! `XTRIM key MAXLEN | MINID [= | ~] threshold [LIMIT count]`: removes entries from the front.
//!
//! Reference: <https://redis.io/commands/xtrim/>. With `~` only whole blocks go, see
//! [`Stream`](crate::value::Stream).

use super::options::Options;
use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    value::Stream,
};

pub(super) const XTRIM: CommandSpec = CommandSpec {
    name: "XTRIM",
    summary: "Trims the stream to (approximately if '~' is passed) a certain size",
    since: "5.0.0",
    complexity: "O(N), with N being the number of evicted entries",
    group: Group::Stream,
    arity: Arity::at_least(4),
    flags: Flags::WRITE,
    keys: KeySpec::first(),
    subcommands: &[],
    run: xtrim,
};

fn xtrim(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let trim = Options::of_trim(args, ctx.core.effects.is_loading)?;
    let key = args.bytes(1);
    let trimmed = ctx.update(key, |stream: &mut Stream| (stream.trim(trim), stream.len()))?;
    let (removed, left) = trimmed.unwrap_or_default();
    if removed > 0 {
        // How much an approximate trim takes hangs on how the stream is held.
        if ctx.is_recorded() {
            ctx.tell(&[b"XTRIM", key, b"MAXLEN", b"=", left.to_string().as_bytes()]);
        }
        ctx.modified(key, Class::Stream, "xtrim");
    }
    Ok(Reply::count(removed))
}
