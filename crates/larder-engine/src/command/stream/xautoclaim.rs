//! `XAUTOCLAIM key group consumer min-idle-time start [COUNT count] [JUSTID]`: pending entries from an id on that were given long
//! enough ago are with this consumer from now on; answers where to go on, what was taken, and what is gone.
//!
//! Reference: <https://redis.io/commands/xautoclaim/>.

use super::{deliver, deliver::Changes, ids, xadd::XADD, xclaim::Terms};
use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags},
    ctx::Ctx,
    value::{ConsumerGroup, Stream, StreamId},
};

pub(super) const XAUTOCLAIM: CommandSpec = CommandSpec {
    name: "XAUTOCLAIM",
    summary: "Changes (or acquires) ownership of messages in a consumer group, as if the messages were delivered to the specified consumer",
    since: "6.2.0",
    complexity: "O(1) if COUNT is small",
    arity: Arity::at_least(6),
    flags: Flags::WRITE.and(Flags::FAST),
    run: xautoclaim,
    ..XADD
};

/// How many entries are taken unless told otherwise.
const COUNT_DEFAULT: usize = 100;

/// So many entries are looked at for each that may be taken.
const ATTEMPTS: usize = 10;

/// The largest count that Redis takes.
const COUNT_MAX: i64 = i64::MAX / 16;

/// Redis sets memory aside for so many ids; no machine has it for more.
const COUNT_IN_MEMORY: usize = 1 << 43;

fn xautoclaim(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let min_idle = args.int(4).map_err(|_| ErrorReply::AUTOCLAIM_MIN_IDLE)?;
    let start = ids::start(args, 5)?;
    let (mut count, mut just_id, mut i) = (COUNT_DEFAULT, false, 6);
    while i < args.len() {
        if args.is(i, "COUNT") && i + 1 < args.len() {
            let given = args.int(i + 1).ok().filter(|count| (1..=COUNT_MAX).contains(count));
            count = given.ok_or(ErrorReply::COUNT_NOT_ABOVE_ZERO)? as usize;
            i += 2;
        } else if args.is(i, "JUSTID") {
            just_id = true;
            i += 1;
        } else {
            return Err(ErrorReply::SYNTAX);
        }
    }
    let (key, group, consumer) = (args.bytes(1), args.bytes(2), args.bytes(3));
    if ctx
        .read::<Stream>(key)?
        .is_none_or(|stream| stream.group(group).is_none())
    {
        return Err(ErrorReply::no_key_or_group(key, group, ""));
    }
    if count > COUNT_IN_MEMORY {
        return Err(ErrorReply::AUTOCLAIM_MEMORY);
    }
    let terms = Terms::plain(u64::try_from(min_idle).unwrap_or(0), ctx.now(), just_id);
    let swept = deliver::change(ctx, key, group, consumer, |group, stream, changes| {
        sweep(group, stream, changes, &terms, consumer, start, count)
    })?;
    let Swept { next, taken, gone } = swept.ok_or_else(|| ErrorReply::no_key_or_group(key, group, ""))?;
    let gone = gone.into_iter().map(|id| Reply::bulk(id.to_string()));
    Ok(Reply::Array(vec![
        Reply::bulk(next.to_string()),
        Reply::Array(taken),
        Reply::Array(gone.collect()),
    ]))
}

struct Swept {
    /// The first entry that was not looked at.
    next: StreamId,
    taken: Vec<Reply>,
    gone: Vec<StreamId>,
}

fn sweep(
    group: &mut ConsumerGroup,
    stream: &Stream,
    changes: &mut Changes,
    terms: &Terms,
    consumer: &[u8],
    start: StreamId,
    count: usize,
) -> Swept {
    let (mut taken, mut gone) = (Vec::new(), Vec::new());
    let mut at = Some(start);
    let mut attempts = count.saturating_mul(ATTEMPTS);
    while attempts > 0 && taken.len() + gone.len() < count {
        attempts -= 1;
        let found = at.and_then(|at| group.pending_from(at).next());
        let Some((id, pending)) = found.map(|(id, pending)| (id, pending.clone())) else {
            break;
        };
        at = id.next();
        if stream.entry(id).is_none() {
            group.settle(id);
            changes.claims.push((id, pending));
            gone.push(id);
        } else if !terms.is_fresh(&pending) {
            terms.give(group, changes, consumer, id, pending.deliveries);
            taken.push(terms.shown(stream, id));
        }
    }
    let next = at.and_then(|at| group.pending_from(at).next());
    Swept {
        next: next.map_or(StreamId::MIN, |(id, _)| id),
        taken,
        gone,
    }
}
