//! `XCLAIM key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-ms] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID
//! id]`: pending entries are with this consumer from now on.
//!
//! Reference: <https://redis.io/commands/xclaim/>.

use super::{deliver, deliver::Changes, ids, listing, xadd::XADD};
use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags},
    ctx::Ctx,
    value::{ConsumerGroup, Pending, Stream, StreamId},
};

pub(super) const XCLAIM: CommandSpec = CommandSpec {
    name: "XCLAIM",
    summary: "Changes (or acquires) ownership of a message in a consumer group, as if the message was delivered to the specified consumer",
    complexity: "O(log N) with N being the number of messages in the PEL of the consumer group",
    arity: Arity::at_least(6),
    flags: Flags::WRITE.and(Flags::FAST),
    run: xclaim,
    ..XADD
};

/// How entries change hands.
pub(super) struct Terms {
    /// Entries that were given a shorter time ago stay where they are; in milliseconds.
    pub(super) min_idle: u64,
    /// When the entry counts as given, in Unix milliseconds.
    pub(super) at: u64,
    pub(super) now: u64,
    /// How often it was given; one more than before if none.
    deliveries: Option<u64>,
    /// Entries that nobody had are made pending too.
    force: bool,
    pub(super) just_id: bool,
}

impl Terms {
    /// From now on, given once more.
    pub(super) const fn plain(min_idle: u64, now: u64, just_id: bool) -> Self {
        Self {
            min_idle,
            at: now,
            now,
            deliveries: None,
            force: false,
            just_id,
        }
    }

    /// Whether an entry was given too short a time ago.
    pub(super) fn is_fresh(&self, pending: &Pending) -> bool {
        self.min_idle > 0 && (self.now as i64).wrapping_sub(pending.delivered_at as i64) < self.min_idle as i64
    }

    /// Gives an entry to a consumer, which is made by this if it is new.
    pub(super) fn give(
        &self,
        group: &mut ConsumerGroup,
        changes: &mut Changes,
        consumer: &[u8],
        id: StreamId,
        before: u64,
    ) {
        let (consumer, created) = group.see(consumer, self.now);
        changes.created |= created;
        let more = u64::from(!self.just_id);
        let pending = Pending {
            consumer,
            delivered_at: self.at,
            deliveries: self.deliveries.unwrap_or_else(|| before.wrapping_add(more)),
        };
        group.assign(id, pending.clone());
        changes.claims.push((id, pending));
    }

    /// An entry that was taken, as it is answered.
    pub(super) fn shown(&self, stream: &Stream, id: StreamId) -> Reply {
        match stream.entry(id) {
            Some(entry) if !self.just_id => listing::entry(entry),
            _ => Reply::bulk(id.to_string()),
        }
    }
}

fn xclaim(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (key, group, consumer) = (args.bytes(1), args.bytes(2), args.bytes(3));
    if ctx
        .read::<Stream>(key)?
        .is_none_or(|stream| stream.group(group).is_none())
    {
        return Err(ErrorReply::no_key_or_group(key, group, ""));
    }
    let min_idle = args.int(4).map_err(|_| ErrorReply::CLAIM_MIN_IDLE)?;
    let listed: Vec<StreamId> = (5..args.len()).map_while(|i| ids::id(args, i).ok()).collect();
    let (terms, last_id) = options(args, 5 + listed.len(), min_idle, ctx.now())?;
    let shown = deliver::change(ctx, key, group, consumer, |group, stream, changes| {
        if last_id > group.last_id {
            group.last_id = last_id;
            changes.progress = Some((group.last_id, group.entries_read));
        }
        let taken = listed
            .iter()
            .filter_map(|id| take(group, stream, changes, &terms, consumer, *id));
        Reply::Array(taken.collect())
    })?;
    shown.ok_or_else(|| ErrorReply::no_key_or_group(key, group, ""))
}

/// The options from argument `i` on, and the id up to which the group has read.
fn options(args: &Args<'_>, mut i: usize, min_idle: i64, now: u64) -> Result<(Terms, StreamId), ErrorReply> {
    let mut terms = Terms::plain(u64::try_from(min_idle).unwrap_or(0), now, false);
    let (mut at, mut last_id) = (None, StreamId::MIN);
    let number = |i: usize, error: ErrorReply| args.int(i).map_err(|_| error);
    while i < args.len() {
        let has_more = i + 1 < args.len();
        i += match () {
            () if args.is(i, "FORCE") => {
                terms.force = true;
                1
            }
            () if args.is(i, "JUSTID") => {
                terms.just_id = true;
                1
            }
            () if args.is(i, "IDLE") && has_more => {
                at = Some((now as i64).wrapping_sub(number(i + 1, ErrorReply::CLAIM_IDLE)?));
                2
            }
            () if args.is(i, "TIME") && has_more => {
                at = Some(number(i + 1, ErrorReply::CLAIM_TIME)?);
                2
            }
            () if args.is(i, "RETRYCOUNT") && has_more => {
                terms.deliveries = u64::try_from(number(i + 1, ErrorReply::CLAIM_RETRYCOUNT)?).ok();
                2
            }
            () if args.is(i, "LASTID") && has_more => {
                last_id = ids::id(args, i + 1)?;
                2
            }
            () => return Err(ErrorReply::claim_option(args.bytes(i))),
        };
    }
    // A time to come is a mistake of somebody's clock.
    terms.at = at.and_then(|at| u64::try_from(at).ok()).map_or(now, |at| at.min(now));
    Ok((terms, last_id))
}

/// Takes an entry for a consumer; `None` if it stays where it is.
fn take(
    group: &mut ConsumerGroup,
    stream: &Stream,
    changes: &mut Changes,
    terms: &Terms,
    consumer: &[u8],
    id: StreamId,
) -> Option<Reply> {
    let before = group.pending(id).cloned();
    if stream.entry(id).is_none() {
        // It is gone, and so there is nothing to acknowledge.
        changes.claims.extend(before.map(|before| (id, before)));
        group.settle(id);
        return None;
    }
    let deliveries = match &before {
        Some(before) if terms.is_fresh(before) => return None,
        Some(before) => before.deliveries,
        None if terms.force => 1,
        None => return None,
    };
    terms.give(group, changes, consumer, id, deliveries);
    Some(terms.shown(stream, id))
}
