//! A consumer group: how far it read, and what its consumers were given and have yet to acknowledge.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Stream, StreamId};

/// What a group costs beside its name: itself, and its place in the stream's map.
const GROUP_OVERHEAD: usize = size_of::<Group>() + 48;

/// What a consumer costs beside its name: itself, its place in the map, the counts of its shared name.
const CONSUMER_OVERHEAD: usize = size_of::<Consumer>() + 64;

/// What a pending entry costs: its places in the group's map and in its consumer's set, with the room that their nodes
/// leave (a third more in the mean).
const PENDING_OVERHEAD: usize = (size_of::<Pending>() + 2 * size_of::<StreamId>()) * 4 / 3;

/// A consumer's name, shared with what is pending.
pub(crate) type ConsumerName = Arc<[u8]>;

/// A group of consumers.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// The last entry that was given to a consumer.
    pub(crate) last_id: StreamId,
    /// How many entries that were ever added come up to it, if that is known.
    pub(crate) entries_read: Option<u64>,
    pending: BTreeMap<StreamId, Pending>,
    consumers: BTreeMap<ConsumerName, Consumer>,
    /// Bytes of the consumers' names.
    names: usize,
}

/// An entry that was given to a consumer, which has not acknowledged it.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) consumer: ConsumerName,
    /// When it was last given, in Unix milliseconds.
    pub(crate) delivered_at: u64,
    pub(crate) deliveries: u64,
}

/// One consumer.
#[derive(Clone, Debug)]
pub(crate) struct Consumer {
    /// When it last asked for something, in Unix milliseconds.
    pub(crate) seen_at: u64,
    pending: BTreeSet<StreamId>,
}

impl Consumer {
    /// How many entries it has to acknowledge.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// What it has to acknowledge, from this id on.
    pub(crate) fn pending_from(&self, start: StreamId) -> impl Iterator<Item = StreamId> {
        self.pending.range(start..).copied()
    }
}

impl Group {
    pub(crate) const fn new(last_id: StreamId, entries_read: Option<u64>) -> Self {
        Self {
            last_id,
            entries_read,
            pending: BTreeMap::new(),
            consumers: BTreeMap::new(),
            names: 0,
        }
    }

    pub(super) fn weight(&self) -> usize {
        GROUP_OVERHEAD + self.names + self.consumers.len() * CONSUMER_OVERHEAD + self.pending.len() * PENDING_OVERHEAD
    }

    // --- consumers ---

    /// By name, in order.
    pub(crate) fn consumers(&self) -> impl ExactSizeIterator<Item = (&ConsumerName, &Consumer)> {
        self.consumers.iter()
    }

    pub(crate) fn consumer(&self, name: &[u8]) -> Option<&Consumer> {
        self.consumers.get(name)
    }

    /// Makes a consumer; whether there was none of this name.
    pub(crate) fn create_consumer(&mut self, name: &[u8], now: u64) -> bool {
        if self.consumers.contains_key(name) {
            return false;
        }
        let consumer = Consumer {
            seen_at: now,
            pending: BTreeSet::new(),
        };
        self.consumers.insert(name.into(), consumer);
        self.names += name.len();
        true
    }

    /// The consumer asks for something now: its shared name, and whether it is new.
    pub(crate) fn see(&mut self, name: &[u8], now: u64) -> (ConsumerName, bool) {
        let is_new = self.create_consumer(name, now);
        if let Some(consumer) = self.consumers.get_mut(name) {
            consumer.seen_at = now;
        }
        let (shared, _) = self.consumers.get_key_value(name).expect("it was just made sure of");
        (shared.clone(), is_new)
    }

    /// Removes a consumer with what it has to acknowledge; how much that was.
    pub(crate) fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let consumer = self.consumers.remove(name)?;
        self.names -= name.len();
        for id in &consumer.pending {
            self.pending.remove(id);
        }
        Some(consumer.pending.len())
    }

    // --- pending entries ---

    pub(crate) fn pending_len(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn pending(&self, id: StreamId) -> Option<&Pending> {
        self.pending.get(&id)
    }

    /// What is pending with whomever, from this id on.
    pub(crate) fn pending_from(&self, start: StreamId) -> impl DoubleEndedIterator<Item = (StreamId, &Pending)> {
        self.pending.range(start..).map(|(id, pending)| (*id, pending))
    }

    /// An entry is with this consumer from now on, whoever had it.
    pub(crate) fn assign(&mut self, id: StreamId, pending: Pending) {
        if let Some(before) = self.pending.get(&id)
            && before.consumer != pending.consumer
            && let Some(former) = self.consumers.get_mut(&before.consumer)
        {
            former.pending.remove(&id);
        }
        if let Some(consumer) = self.consumers.get_mut(&pending.consumer) {
            consumer.pending.insert(id);
        }
        self.pending.insert(id, pending);
    }

    /// An entry was given to its consumer once more.
    pub(crate) fn deliver_again(&mut self, id: StreamId, now: u64) {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.delivered_at = now;
            pending.deliveries = pending.deliveries.wrapping_add(1);
        }
    }

    /// An entry need not be acknowledged any more; whether it had to.
    pub(crate) fn settle(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.remove(&id) else {
            return false;
        };
        if let Some(consumer) = self.consumers.get_mut(&pending.consumer) {
            consumer.pending.remove(&id);
        }
        true
    }

    // --- progress ---

    /// An entry of `stream` is given to a consumer: the group has read up to it.
    pub(crate) fn advance(&mut self, stream: &Stream, id: StreamId) {
        self.entries_read = match self.entries_read {
            Some(read) if !stream.has_gap_from(id) => Some(read + 1),
            _ if stream.added() > 0 => stream.entries_up_to(id),
            unknown => unknown,
        };
        self.last_id = id;
    }

    /// How many entries the group has yet to read, if that is known.
    pub(crate) fn lag(&self, stream: &Stream) -> Option<i64> {
        let read = match self.entries_read {
            _ if stream.added() == 0 => return Some(0),
            Some(read) if !stream.has_gap_from(self.last_id) => Some(read),
            _ => stream.entries_up_to(self.last_id),
        };
        read.map(|read| stream.added().wrapping_sub(read) as i64)
    }
}

impl Stream {
    /// Whether an entry with this id or a later one was deleted by name.
    fn has_gap_from(&self, id: StreamId) -> bool {
        self.len() > 0 && self.max_deleted_id() != StreamId::MIN && id <= self.max_deleted_id()
    }

    /// How many entries that were ever added come up to this id, if that is known.
    fn entries_up_to(&self, id: StreamId) -> Option<u64> {
        if self.added() == 0 {
            return Some(0);
        }
        if id == self.last_id() || (self.len() == 0 && id < self.last_id()) {
            return Some(self.added());
        }
        if id > self.last_id() {
            return None;
        }
        let is_whole = self.max_deleted_id() == StreamId::MIN || self.max_deleted_id() < self.first_id();
        let before_first = self.added().wrapping_sub(self.len() as u64);
        match id.cmp(&self.first_id()) {
            std::cmp::Ordering::Less if is_whole => Some(before_first),
            std::cmp::Ordering::Equal if is_whole => Some(before_first.wrapping_add(1)),
            _ => None,
        }
    }

    // --- groups ---

    /// By name, in order.
    pub(crate) fn groups(&self) -> impl ExactSizeIterator<Item = (&[u8], &Group)> {
        self.groups.iter().map(|(name, group)| (&**name, group))
    }

    pub(crate) fn group(&self, name: &[u8]) -> Option<&Group> {
        self.groups.get(name)
    }

    /// Adds a group; whether there was none of this name.
    pub(crate) fn create_group(&mut self, name: &[u8], group: Group) -> bool {
        if self.groups.contains_key(name) {
            return false;
        }
        self.groups_weight += group.weight() + name.len();
        self.groups.insert(name.into(), group);
        true
    }

    /// Removes a group; whether it was there.
    pub(crate) fn remove_group(&mut self, name: &[u8]) -> bool {
        let Some(group) = self.groups.remove(name) else {
            return false;
        };
        self.groups_weight -= group.weight() + name.len();
        true
    }

    /// Changes a group, with a view of the entries; `None` if it is not there.
    pub(crate) fn change_group<R>(&mut self, name: &[u8], change: impl FnOnce(&mut Group, &Self) -> R) -> Option<R> {
        let mut groups = std::mem::take(&mut self.groups);
        let changed = groups.get_mut(name).map(|group| {
            let before = group.weight();
            let result = change(group, self);
            (result, before, group.weight())
        });
        self.groups = groups;
        let (result, before, after) = changed?;
        self.groups_weight = self.groups_weight + after - before;
        Some(result)
    }
}
