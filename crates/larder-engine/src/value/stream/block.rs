//! A run of entries packed into one allocation.
//!
//! Entries are held as distances from the first id. The names of the first entry's fields stand once at the front;
//! an entry with the same names holds its values alone, as most streams' entries do.

use crate::value::stream::{
    StreamId, listpack,
    packed::{Packed, push_number, push_text, unzigzag, zigzag},
};

/// `stream-node-max-entries` by default: entries of a node, deleted ones included.
const ENTRIES_MAX: usize = 100;

/// `stream-node-max-bytes` by default, of a listpack.
const LISTPACK_MAX: usize = 4_096;

/// What a block costs beside its bytes: its place in the queue, with room to grow, and the allocation's header.
const BLOCK_OVERHEAD: usize = size_of::<Block>() + size_of::<Block>() / 2 + 16;

#[derive(Clone, Debug)]
pub(super) struct Block {
    first: StreamId,
    /// The last id that was ever in it.
    last: StreamId,
    /// How many fields the first entry had, their names, then the entries that are left.
    bytes: Vec<u8>,
    /// Where the entries begin.
    entries_at: usize,
    live: usize,
    /// Entries ever put in: Redis only marks the deleted ones.
    total: usize,
    /// Bytes of the listpack that Redis would hold.
    listpack: usize,
}

/// An entry: its id, its fields and values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamEntry<'a> {
    pub(crate) id: StreamId,
    pairs: usize,
    /// The names, if they are the block's.
    names: Option<Packed<'a>>,
    /// The values, each after its name if the names are its own.
    body: Packed<'a>,
}

impl<'a> StreamEntry<'a> {
    /// How many byte strings [`texts`](Self::texts) gives.
    pub(crate) const fn len(&self) -> usize {
        2 * self.pairs
    }

    /// Field, value, field, value, ..
    pub(crate) fn texts(self) -> impl Iterator<Item = &'a [u8]> {
        let Self {
            mut names, mut body, ..
        } = self;
        (0..self.len()).map(move |i| match &mut names {
            Some(names) if i % 2 == 0 => names.text(),
            _ => body.text(),
        })
    }
}

impl Block {
    /// A block that begins with this id and will hold entries with the fields of `texts` (field, value, ..).
    pub(super) fn new(first: StreamId, texts: &[&[u8]]) -> Self {
        let names = texts.iter().step_by(2);
        let mut bytes = Vec::new();
        push_number(&mut bytes, texts.len() as u64 / 2);
        names.clone().for_each(|name| push_text(&mut bytes, name));
        // Entries, deleted entries, number of fields, their names, a zero.
        let numbers = [1, 0, texts.len() as i64 / 2, 0].map(listpack::integer);
        Self {
            first,
            last: first,
            entries_at: bytes.len(),
            bytes,
            live: 0,
            total: 0,
            listpack: listpack::EMPTY
                + numbers.iter().sum::<usize>()
                + names.map(|name| listpack::text(name)).sum::<usize>(),
        }
    }

    /// Whether Redis would begin another node for an entry of so many bytes.
    pub(super) const fn is_full(&self, more: usize) -> bool {
        self.listpack + more >= LISTPACK_MAX || self.total >= ENTRIES_MAX
    }

    /// Gives back the room to grow: nothing more will come.
    pub(super) fn seal(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// Adds an entry after all others.
    pub(super) fn push(&mut self, id: StreamId, texts: &[&[u8]]) {
        let same_names = self.has_names(texts);
        let (pairs, ms, seq) = (texts.len() / 2, id.ms - self.first.ms, self.seq_distance(id));
        let body = texts
            .iter()
            .skip(usize::from(same_names))
            .step_by(1 + usize::from(same_names));
        push_number(&mut self.bytes, ms);
        push_number(&mut self.bytes, zigzag(seq));
        push_number(&mut self.bytes, if same_names { 0 } else { pairs as u64 });
        body.clone().for_each(|text| push_text(&mut self.bytes, text));
        self.last = id;
        self.live += 1;
        self.total += 1;
        self.listpack += body.map(|text| listpack::text(text)).sum::<usize>() + overhead(pairs, same_names, ms, seq);
    }

    fn seq_distance(&self, id: StreamId) -> i64 {
        id.seq.wrapping_sub(self.first.seq) as i64
    }

    /// How many fields the first entry had, and their names.
    fn names(&self) -> (usize, Packed<'_>) {
        let mut names = Packed(&self.bytes[..self.entries_at]);
        (names.number() as usize, names)
    }

    fn has_names(&self, texts: &[&[u8]]) -> bool {
        let (count, mut names) = self.names();
        texts.len() == 2 * count && texts.iter().step_by(2).all(|name| *name == names.text())
    }

    /// The entries that are left, in order, each with the bytes that hold it.
    fn spans(&self) -> impl Iterator<Item = (StreamEntry<'_>, std::ops::Range<usize>)> {
        let names = self.names();
        let mut rest = Packed(&self.bytes[self.entries_at..]);
        (0..self.live).map(move |_| {
            let start = self.bytes.len() - rest.0.len();
            let ms = rest.number();
            let seq = unzigzag(rest.number());
            let own_pairs = rest.number() as usize;
            let (pairs, names) = if own_pairs == 0 {
                (names.0, Some(names.1))
            } else {
                (own_pairs, None)
            };
            let body = rest.take(if names.is_some() { pairs } else { 2 * pairs });
            let id = StreamId {
                ms: self.first.ms + ms,
                seq: self.first.seq.wrapping_add(seq as u64),
            };
            let entry = StreamEntry { id, pairs, names, body };
            (entry, start..self.bytes.len() - rest.0.len())
        })
    }

    /// The entries that are left, in order.
    pub(super) fn entries(&self) -> Vec<StreamEntry<'_>> {
        self.spans().map(|(entry, _)| entry).collect()
    }

    /// Removes an entry; whether it was there.
    pub(super) fn remove(&mut self, id: StreamId) -> bool {
        let found = self.spans().find(|(entry, _)| entry.id == id);
        let Some((_, span)) = found else { return false };
        self.bytes.drain(span);
        self.live -= 1;
        true
    }

    /// Removes entries from the front while this says so; how many.
    pub(super) fn remove_while(&mut self, mut goes: impl FnMut(StreamId) -> bool) -> usize {
        let (mut removed, mut end) = (0, self.entries_at);
        for (entry, span) in self.spans() {
            if !goes(entry.id) {
                break;
            }
            (removed, end) = (removed + 1, span.end);
        }
        self.bytes.drain(self.entries_at..end);
        self.live -= removed;
        removed
    }

    pub(super) const fn first(&self) -> StreamId {
        self.first
    }

    pub(super) const fn last(&self) -> StreamId {
        self.last
    }

    pub(super) const fn live(&self) -> usize {
        self.live
    }

    pub(super) fn weight(&self) -> usize {
        BLOCK_OVERHEAD + self.bytes.capacity()
    }
}

/// What a listpack holds of an entry beside its texts: flags, id, the number of fields, the number of elements.
fn overhead(pairs: usize, same_names: bool, ms: u64, seq: i64) -> usize {
    /// Flags and the two halves of the id.
    const FIXED: usize = 3;
    let (flags, elements) = if same_names {
        (2, FIXED + pairs)
    } else {
        (0, FIXED + 2 * pairs + 1)
    };
    let count = if same_names { 0 } else { listpack::integer(pairs as i64) };
    let numbers = [flags, ms as i64, seq, elements as i64].map(listpack::integer);
    numbers.iter().sum::<usize>() + count
}
