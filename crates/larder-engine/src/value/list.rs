//! A list: elements in order, cheap to add and take at both ends.

use std::{collections::VecDeque, ops::Range};

use crate::value::{Bytes, kind};

/// What an element costs beside its bytes: its slot in the queue, its allocation.
const ELEMENT_OVERHEAD: usize = 32;

/// One end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Left,
    Right,
}

/// The list type.
#[derive(Clone, Debug, Default)]
pub(crate) struct List {
    elements: VecDeque<Bytes>,
    weight: usize,
}

kind!(List, List);

impl List {
    pub(crate) fn len(&self) -> usize {
        self.elements.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    pub(crate) fn get(&self, position: usize) -> Option<&[u8]> {
        self.elements.get(position).map(AsRef::as_ref)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.elements.iter().map(AsRef::as_ref)
    }

    pub(crate) fn range(&self, range: Range<usize>) -> impl Iterator<Item = &[u8]> {
        self.elements.range(range).map(AsRef::as_ref)
    }

    pub(crate) fn push(&mut self, end: End, element: &[u8]) {
        self.weight += ELEMENT_OVERHEAD + element.len();
        match end {
            End::Left => self.elements.push_front(element.into()),
            End::Right => self.elements.push_back(element.into()),
        }
    }

    pub(crate) fn pop(&mut self, end: End) -> Option<Bytes> {
        let element = match end {
            End::Left => self.elements.pop_front(),
            End::Right => self.elements.pop_back(),
        }?;
        self.weight -= ELEMENT_OVERHEAD + element.len();
        Some(element)
    }

    /// Up to `count` elements from one end, the outermost first.
    pub(crate) fn pop_many(&mut self, end: End, count: usize) -> Vec<Bytes> {
        (0..count.min(self.len())).filter_map(|_| self.pop(end)).collect()
    }

    /// Replaces the element at a position below [`len`](Self::len).
    pub(crate) fn set(&mut self, position: usize, element: &[u8]) {
        let slot = &mut self.elements[position];
        self.weight = self.weight + element.len() - slot.len();
        *slot = element.into();
    }

    /// Puts an element before the one at `position`, which is at most [`len`](Self::len).
    pub(crate) fn insert(&mut self, position: usize, element: &[u8]) {
        self.weight += ELEMENT_OVERHEAD + element.len();
        self.elements.insert(position, element.into());
    }

    /// Keeps the elements in this range alone.
    pub(crate) fn keep(&mut self, range: Range<usize>) {
        self.elements.truncate(range.end);
        self.elements.drain(..range.start.min(range.end));
        self.weigh();
    }

    /// Removes elements equal to `element`: the first `count`; the last `-count` if negative; all if 0. How many
    /// were removed.
    pub(crate) fn remove(&mut self, element: &[u8], count: i64) -> usize {
        let matching = self.iter().filter(|&other| other == element).count();
        let most = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        let removed = if count == 0 { matching } else { matching.min(most) };
        let spared = if count < 0 { matching - removed } else { 0 };
        let mut seen = 0;
        self.elements.retain(|other| {
            let is_match = **other == *element;
            seen += usize::from(is_match);
            !(is_match && seen > spared && seen <= spared + removed)
        });
        self.weight -= removed * (ELEMENT_OVERHEAD + element.len());
        removed
    }

    #[allow(clippy::unused_self, reason = "every type says how Redis would hold it")]
    pub(crate) fn encoding(&self) -> &'static str {
        "quicklist"
    }

    fn weigh(&mut self) {
        self.weight = self.iter().map(|element| ELEMENT_OVERHEAD + element.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(elements: &str) -> List {
        let mut list = List::default();
        elements
            .chars()
            .for_each(|c| list.push(End::Right, c.to_string().as_bytes()));
        list
    }

    fn text(list: &List) -> String {
        list.iter().map(|element| char::from(element[0])).collect()
    }

    #[test]
    fn removal_spares_the_other_end() {
        for (count, left, removed) in [
            (0, "bc", 3),
            (2, "bca", 2),
            (-2, "abc", 2),
            (9, "bc", 3),
            (i64::MIN, "bc", 3),
        ] {
            let mut list = list("abaca");
            assert_eq!(list.remove(b"a", count), removed);
            assert_eq!(text(&list), left);
            assert_eq!(list.weight(), left.len() * (ELEMENT_OVERHEAD + 1));
        }
    }

    #[test]
    fn the_weight_follows_every_change() {
        let mut list = list("abcdef");
        list.set(1, b"longer");
        list.insert(2, b"x");
        list.keep(1..4);
        assert_eq!(list.weight(), 3 * ELEMENT_OVERHEAD + 8);
        list.pop_many(End::Left, 9);
        assert_eq!(list.weight(), 0);
    }
}
