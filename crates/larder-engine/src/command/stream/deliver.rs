//! Giving entries to a consumer of a group, and how the log tells of it: by what came of it, with times and counts, as
//! Redis does.

use crate::{
    ErrorReply, Reply,
    ctx::Ctx,
    notify::Class,
    value::{ConsumerGroup, ConsumerName, Pending, Stream, StreamId},
};

use super::listing;

/// Who reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    pub(super) group: &'a [u8],
    pub(super) consumer: &'a [u8],
    pub(super) no_ack: bool,
}

/// What a change of a group has for the log.
#[derive(Default)]
pub(super) struct Changes {
    /// A consumer that is new.
    pub(super) created: bool,
    /// Entries that are pending with a consumer from now on, or no longer at all.
    pub(super) claims: Vec<(StreamId, Pending)>,
    /// The group's progress, if it changed.
    pub(super) progress: Option<(StreamId, Option<u64>)>,
}

/// Gives what nobody in the group has read yet; `None` if there is no such group.
pub(super) fn new_entries(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    reader: &Reader<'_>,
    count: Option<usize>,
) -> Result<Option<Reply>, ErrorReply> {
    let now = ctx.now();
    change(ctx, key, reader.group, reader.consumer, |group, stream, changes| {
        let (name, created) = group.see(reader.consumer, now);
        changes.created = created;
        let after = group.last_id;
        let start = after.next().unwrap_or(StreamId::MAX);
        let mut shown = Vec::new();
        for entry in stream.range(start, StreamId::MAX).take(count.unwrap_or(usize::MAX)) {
            group.advance(stream, entry.id);
            if !reader.no_ack {
                let pending = Pending {
                    consumer: name.clone(),
                    delivered_at: now,
                    deliveries: 1,
                };
                group.assign(entry.id, pending.clone());
                changes.claims.push((entry.id, pending));
            }
            shown.push(listing::entry(entry));
        }
        if group.last_id != after {
            changes.progress = Some((group.last_id, group.entries_read));
        }
        Reply::Array(shown)
    })
}

/// Gives again what the consumer was given after this id and has not acknowledged. As in Redis, the log does not tell of
/// it.
pub(super) fn history(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    reader: &Reader<'_>,
    after: StreamId,
    count: Option<usize>,
) -> Result<Option<Reply>, ErrorReply> {
    let now = ctx.now();
    change(ctx, key, reader.group, reader.consumer, |group, stream, changes| {
        let (name, created) = group.see(reader.consumer, now);
        changes.created = created;
        let start = after.next().unwrap_or_default();
        let pending = group.consumer(&name).map(|consumer| consumer.pending_from(start));
        let ids: Vec<StreamId> = pending
            .into_iter()
            .flatten()
            .take(count.unwrap_or(usize::MAX))
            .collect();
        let shown = ids.into_iter().map(|id| match stream.entry(id) {
            Some(entry) => {
                group.deliver_again(id, now);
                listing::entry(entry)
            }
            None => Reply::Array(vec![Reply::bulk(id.to_string()), Reply::NullArray]),
        });
        Reply::Array(shown.collect())
    })
}

/// Changes a group and tells of it; `None` if there is no such group.
pub(super) fn change<R>(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    group: &[u8],
    consumer: &[u8],
    change: impl FnOnce(&mut ConsumerGroup, &Stream, &mut Changes) -> R,
) -> Result<Option<R>, ErrorReply> {
    let mut changes = Changes::default();
    let result = ctx.update(key, |stream: &mut Stream| {
        let result = stream.change_group(group, |group, stream| change(group, stream, &mut changes));
        (result, stream.group(group).map(|group| group.last_id))
    })?;
    let Some((Some(result), Some(last_id))) = result else {
        return Ok(None);
    };
    tell(ctx, key, group, consumer, &changes, last_id);
    Ok(Some(result))
}

fn tell(ctx: &mut Ctx<'_>, key: &[u8], group: &[u8], consumer: &[u8], changes: &Changes, last_id: StreamId) {
    if changes.created {
        ctx.tell(&[b"XGROUP", b"CREATECONSUMER", key, group, consumer]);
        ctx.modified_beside(key, Class::Stream, Some("xgroup-createconsumer"));
    }
    if ctx.is_recorded() {
        let last_id = last_id.to_string();
        for (id, pending) in &changes.claims {
            let texts = [
                id.to_string(),
                pending.delivered_at.to_string(),
                pending.deliveries.to_string(),
            ];
            let [id, at, deliveries] = texts.each_ref().map(String::as_bytes);
            let [head, options] = claim(key, group, &pending.consumer, id, at, deliveries);
            let tail: [&[u8]; 2] = [b"LASTID", last_id.as_bytes()];
            ctx.tell(&[&head[..], &options[..], &tail].concat());
        }
        if let Some((id, read)) = changes.progress {
            let read = read.map_or_else(|| "-1".to_owned(), |read| read.to_string());
            let id = id.to_string();
            ctx.tell(&[
                b"XGROUP",
                b"SETID",
                key,
                group,
                id.as_bytes(),
                b"ENTRIESREAD",
                read.as_bytes(),
            ]);
        }
    }
    if !changes.claims.is_empty() || changes.progress.is_some() {
        ctx.modified_beside(key, Class::Stream, None);
    }
}

/// The command that makes an entry pending, in two halves.
pub(crate) fn claim<'a>(
    key: &'a [u8],
    group: &'a [u8],
    consumer: &'a ConsumerName,
    id: &'a [u8],
    at: &'a [u8],
    deliveries: &'a [u8],
) -> [[&'a [u8]; 6]; 2] {
    [
        [b"XCLAIM", key, group, consumer, b"0", id],
        [b"TIME", at, b"RETRYCOUNT", deliveries, b"FORCE", b"JUSTID"],
    ]
}
