//! `XPENDING key group [[IDLE min-idle-time] start end count [consumer]]`: what a group's consumers have to acknowledge, in sum or
//! entry by entry.
//!
//! Reference: <https://redis.io/commands/xpending/>.

use super::{ids, xadd::XADD};
use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags},
    ctx::Ctx,
    value::{ConsumerGroup, Pending, Stream, StreamId},
};

pub(super) const XPENDING: CommandSpec = CommandSpec {
    name: "XPENDING",
    summary: "Returns information and entries from a stream consumer group pending entries list, that are messages fetched but never acknowledged",
    complexity: "O(N) with N being the number of elements returned",
    arity: Arity::at_least(3),
    flags: Flags::READONLY,
    run: xpending,
    ..XADD
};

/// Which entries are asked for.
struct Wanted<'a> {
    /// Only those that were given so many milliseconds ago.
    min_idle: i64,
    start: StreamId,
    end: StreamId,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Wanted<'a> {
    fn parse(args: &Args<'a>) -> Result<Self, ErrorReply> {
        let mut i = 3;
        let mut min_idle = 0;
        if args.is(i, "IDLE") {
            min_idle = args.int(i + 1)?;
            if args.len() < 8 {
                return Err(ErrorReply::SYNTAX);
            }
            i += 2;
        }
        let count = args.int(i + 2)?;
        Ok(Self {
            min_idle,
            start: ids::start(args, i)?,
            end: ids::end(args, i + 1)?,
            count: usize::try_from(count).unwrap_or(0),
            consumer: args.get(i + 3),
        })
    }

    fn of(&self, group: &ConsumerGroup, now: u64) -> Vec<Reply> {
        let entries: Vec<(StreamId, &Pending)> = match self.consumer {
            None => group
                .pending_from(self.start)
                .take_while(|(id, _)| *id <= self.end)
                .collect(),
            Some(name) => {
                let consumer = group.consumer(name).into_iter();
                let ids = consumer.flat_map(|consumer| consumer.pending_from(self.start));
                ids.take_while(|id| *id <= self.end)
                    .filter_map(|id| Some((id, group.pending(id)?)))
                    .collect()
            }
        };
        let idle = |pending: &Pending| (now as i64).wrapping_sub(pending.delivered_at as i64);
        entries
            .into_iter()
            .filter(|(_, pending)| self.min_idle == 0 || idle(pending) >= self.min_idle)
            .take(self.count)
            .map(|(id, pending)| {
                Reply::Array(vec![
                    Reply::bulk(id.to_string()),
                    Reply::bulk(&pending.consumer),
                    Reply::Int(idle(pending).max(0)),
                    Reply::Int(pending.deliveries as i64),
                ])
            })
            .collect()
    }
}

fn xpending(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let wanted = match args.len() {
        3 => None,
        6..=9 => Some(Wanted::parse(args)?),
        _ => return Err(ErrorReply::SYNTAX),
    };
    let (key, name, now) = (args.bytes(1), args.bytes(2), ctx.now());
    let stream = ctx.read::<Stream>(key)?;
    let group = stream
        .and_then(|stream| stream.group(name))
        .ok_or_else(|| ErrorReply::no_key_or_group(key, name, ""))?;
    Ok(Reply::Array(match wanted {
        None => summary(group),
        Some(wanted) => wanted.of(group, now),
    }))
}

/// How much is pending, between which ids, and how much of it with whom.
fn summary(group: &ConsumerGroup) -> Vec<Reply> {
    let mut all = group.pending_from(StreamId::MIN).map(|(id, _)| id);
    let Some(first) = all.next() else {
        return vec![Reply::Int(0), Reply::Null, Reply::Null, Reply::NullArray];
    };
    let last = all.next_back().unwrap_or(first);
    let consumers = group
        .consumers()
        .filter(|(_, consumer)| consumer.pending() > 0)
        .map(|(name, consumer)| Reply::bulks([name, consumer.pending().to_string().as_bytes()]));
    vec![
        Reply::count(group.pending_len()),
        Reply::bulk(first.to_string()),
        Reply::bulk(last.to_string()),
        Reply::Array(consumers.collect()),
    ]
}
