//! A stream: entries with growing ids, in blocks.
//!
//! Reference: <https://redis.io/docs/latest/develop/data-types/streams/>. Redis keeps a radix tree of listpacks;
//! approximate trimming removes whole ones, so [`Block`]s begin and end where Redis's nodes would. An empty stream
//! is a key: it remembers its last id, and its [`Group`]s.

mod block;
mod group;
mod id;
mod listpack;
mod packed;
mod radix;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use crate::value::{Bytes, kind};
use block::Block;

pub(crate) use block::StreamEntry;
pub(crate) use group::{ConsumerName, Group, Pending};
pub(crate) use id::{NewId, StreamId};

/// The stream type.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    blocks: VecDeque<Block>,
    len: usize,
    last_id: StreamId,
    first_id: StreamId,
    max_deleted_id: StreamId,
    added: u64,
    weight: usize,
    groups: BTreeMap<Bytes, Group>,
    groups_weight: usize,
}

kind!(Stream, Stream);

/// Which entries a trim leaves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keep {
    /// At most so many, the last ones.
    Count(usize),
    /// Those with this id or a later one.
    From(StreamId),
}

/// How a stream is cut at its front.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trim {
    pub(crate) keep: Keep,
    /// Whole blocks alone.
    pub(crate) approximate: bool,
    /// No more than so many entries.
    pub(crate) limit: Option<usize>,
}

impl Stream {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn weight(&self) -> usize {
        self.weight + self.groups_weight
    }

    #[allow(clippy::unused_self, reason = "every type says how Redis would hold it")]
    pub(crate) const fn encoding(&self) -> &'static str {
        "stream"
    }

    /// The last id given out.
    pub(crate) const fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// The id of the first entry; 0-0 if there is none.
    pub(crate) const fn first_id(&self) -> StreamId {
        self.first_id
    }

    /// The largest id that was deleted by name.
    pub(crate) const fn max_deleted_id(&self) -> StreamId {
        self.max_deleted_id
    }

    /// How many entries were ever added.
    pub(crate) const fn added(&self) -> u64 {
        self.added
    }

    /// Blocks, and the nodes of a radix tree of them.
    pub(crate) fn shape(&self) -> (usize, usize) {
        let keys: Vec<_> = self.blocks.iter().map(|block| block.first().bytes()).collect();
        (keys.len(), radix::nodes(&keys))
    }

    /// The id that an entry added at `now` (Unix ms) would get; none if it would not be the largest.
    pub(crate) fn new_id(&self, wanted: NewId, now: u64) -> Option<StreamId> {
        let id = match wanted {
            NewId::Exactly(id) => id,
            NewId::Next if now > self.last_id.ms => StreamId { ms: now, seq: 0 },
            NewId::Next => self.last_id.next()?,
            NewId::NextAt(ms) if ms == self.last_id.ms => StreamId {
                ms,
                seq: self.last_id.seq.checked_add(1)?,
            },
            NewId::NextAt(ms) => StreamId { ms, seq: 0 },
        };
        (id > self.last_id).then_some(id)
    }

    /// Adds an entry of field, value, field, value, .. under an id that [`new_id`](Self::new_id) gave.
    pub(crate) fn push(&mut self, id: StreamId, texts: &[&[u8]]) {
        let bytes = texts.iter().map(|text| text.len()).sum();
        if self.blocks.back().is_none_or(|block| block.is_full(bytes)) {
            if let Some(last) = self.blocks.len().checked_sub(1) {
                self.change(last, Block::seal);
            }
            let block = Block::new(id, texts);
            self.weight += block.weight();
            self.blocks.push_back(block);
        }
        self.change(self.blocks.len() - 1, |block| block.push(id, texts));
        self.len += 1;
        self.added += 1;
        self.last_id = id;
        if self.len == 1 {
            self.first_id = id;
        }
    }

    /// Entries from `start` to `end`, both included, in order.
    pub(crate) fn range(&self, start: StreamId, end: StreamId) -> impl DoubleEndedIterator<Item = StreamEntry<'_>> {
        let from = self.block_at(start).unwrap_or(0);
        let until = self.blocks.partition_point(|block| block.first() <= end);
        self.blocks
            .range(from..until.max(from))
            .flat_map(Block::entries)
            .filter(move |entry| start <= entry.id && entry.id <= end)
    }

    /// The entry with this id.
    pub(crate) fn entry(&self, id: StreamId) -> Option<StreamEntry<'_>> {
        self.range(id, id).next()
    }

    /// The block that an id would be in; none before the first one.
    fn block_at(&self, id: StreamId) -> Option<usize> {
        self.blocks.partition_point(|block| block.first() <= id).checked_sub(1)
    }

    /// The id of the last entry; none if there is no entry.
    pub(crate) fn last_entry_id(&self) -> Option<StreamId> {
        self.range(StreamId::MIN, StreamId::MAX)
            .next_back()
            .map(|entry| entry.id)
    }

    /// Removes entries by id; how many were there.
    pub(crate) fn remove(&mut self, ids: &[StreamId]) -> usize {
        let mut removed = 0;
        for id in ids {
            if self.remove_one(*id) {
                self.max_deleted_id = self.max_deleted_id.max(*id);
                removed += 1;
            }
        }
        if removed > 0 {
            self.find_first();
        }
        removed
    }

    fn remove_one(&mut self, id: StreamId) -> bool {
        let Some(position) = self.block_at(id) else {
            return false;
        };
        let found = self.change(position, |block| block.remove(id));
        if found {
            self.len -= 1;
            if self.blocks[position].live() == 0 {
                self.drop_block(position);
            }
        }
        found
    }

    /// Removes entries from the front; how many.
    pub(crate) fn trim(&mut self, trim: Trim) -> usize {
        let before = self.len;
        while let Some(front) = self.blocks.front() {
            let removed = before - self.len;
            let is_over = matches!(trim.keep, Keep::Count(count) if self.len <= count);
            if is_over || trim.limit.is_some_and(|limit| removed + front.live() > limit) {
                break;
            }
            let goes_whole = match trim.keep {
                Keep::Count(count) => self.len - front.live() >= count,
                Keep::From(id) => front.last() < id,
            };
            if goes_whole {
                self.len -= front.live();
                self.drop_block(0);
                continue;
            }
            if !trim.approximate {
                self.trim_front(trim.keep);
            }
            break;
        }
        if self.len < before {
            self.find_first();
        }
        before - self.len
    }

    /// Removes entries inside the first block.
    fn trim_front(&mut self, keep: Keep) {
        let mut left = self.len;
        let removed = self.change(0, |block| {
            block.remove_while(|id| {
                let goes = match keep {
                    Keep::Count(count) => left > count,
                    Keep::From(from) => id < from,
                };
                left -= usize::from(goes);
                goes
            })
        });
        self.len -= removed;
    }

    /// Sets what `XSETID` sets.
    pub(crate) fn set_ids(&mut self, last: StreamId, added: Option<u64>, max_deleted: Option<StreamId>) {
        self.last_id = last;
        self.added = added.unwrap_or(self.added);
        self.max_deleted_id = max_deleted.unwrap_or(self.max_deleted_id);
    }

    fn find_first(&mut self) {
        let first = self.range(StreamId::MIN, StreamId::MAX).next().map(|entry| entry.id);
        self.first_id = first.unwrap_or_default();
    }

    fn change<R>(&mut self, position: usize, change: impl FnOnce(&mut Block) -> R) -> R {
        let block = &mut self.blocks[position];
        let before = block.weight();
        let result = change(block);
        self.weight = self.weight + block.weight() - before;
        result
    }

    fn drop_block(&mut self, position: usize) {
        if let Some(block) = self.blocks.remove(position) {
            self.weight -= block.weight();
        }
    }
}
