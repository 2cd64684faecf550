//! `XADD key [NOMKSTREAM] [MAXLEN | MINID [= | ~] threshold [LIMIT count]] * | id field value [field value ...]`: adds
//! an entry, and may trim the stream in the same step.
//!
//! Reference: <https://redis.io/commands/xadd/>.

use super::options::Options;
use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    value::{NewId, Stream, StreamId},
};

pub(super) const XADD: CommandSpec = CommandSpec {
    name: "XADD",
    summary: "Appends a new entry to a stream",
    since: "5.0.0",
    complexity: "O(1) when adding a new entry, O(N) when trimming where N being the number of entries evicted",
    group: Group::Stream,
    arity: Arity::at_least(5),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: xadd,
};

/// The bytes of an entry at most, as in Redis.
const ENTRY_MAX: usize = 1 << 30;

fn xadd(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let options = Options::of_add(args, ctx.core.effects.is_loading)?;
    let wrong_arity = || ErrorReply::wrong_arity("xadd");
    let (wanted, at) = options.id.ok_or_else(wrong_arity)?;
    let (key, texts, now) = (args.bytes(1), args.rest(at + 1), ctx.now());
    if texts.is_empty() || texts.len() % 2 == 1 {
        return Err(wrong_arity());
    }
    if wanted == NewId::Exactly(StreamId::MIN) {
        return Err(ErrorReply::STREAM_ID_ZERO);
    }
    if texts.iter().map(|text| text.len()).sum::<usize>() > ENTRY_MAX {
        return Err(ErrorReply::STREAM_ENTRY_TOO_LARGE);
    }
    let add = |stream: &mut Stream| {
        let id = stream.new_id(wanted, now).ok_or(match stream.last_id() {
            StreamId::MAX => ErrorReply::STREAM_EXHAUSTED,
            _ => ErrorReply::STREAM_ID_NOT_LARGER,
        })?;
        stream.push(id, texts);
        let trimmed = options.trim.map_or(0, |trim| stream.trim(trim));
        Ok((id, trimmed, stream.len()))
    };
    let added = if options.no_create {
        ctx.update(key, add)?
    } else {
        Some(ctx.upsert(key, add)?)
    };
    let Some(added) = added else { return Ok(Reply::Null) };
    let (id, trimmed, len) = added?;
    if ctx.is_recorded() {
        tell(ctx, key, &id.to_string(), (trimmed > 0).then_some(len), texts);
    }
    ctx.modified(key, Class::Stream, "xadd");
    if trimmed > 0 {
        ctx.event(key, Class::Stream, "xtrim");
    }
    Ok(Reply::bulk(id.to_string()))
}

/// The id hangs on the time, and how much an approximate trim takes on how the stream is held.
fn tell(ctx: &mut Ctx<'_>, key: &[u8], id: &str, cut_to: Option<usize>, texts: &[&[u8]]) {
    let len = cut_to.unwrap_or_default().to_string();
    let mut effect: Vec<&[u8]> = vec![b"XADD", key];
    if cut_to.is_some() {
        effect.extend([&b"MAXLEN"[..], b"=", len.as_bytes()]);
    }
    effect.push(id.as_bytes());
    effect.extend(texts);
    ctx.tell(&effect);
}
