//! A sorted set: members with scores, found by member, by score and by rank.
//!
//! A map from members to scores answers for single members, gives random ones and carries `ZSCAN`, as in a hash; an
//! [`Order`] of the same members answers for ranks and ranges.

use std::{ops::Range, sync::Arc};

use ahash::RandomState;
use indexmap::IndexMap;

use crate::value::{
    hash::COMPACT_ELEMENT_MAX,
    kind,
    order::{Item, Order},
};

/// What a member costs beside its bytes: the map's slot, hash and index, its place in the order, the shared
/// allocation.
const MEMBER_OVERHEAD: usize = 140;

/// Whether Redis holds a sorted set of this size, with members up to this length, in its compact encoding.
const fn fits_compact(len: usize, member: usize) -> bool {
    /// `zset-max-listpack-entries` by default.
    const COMPACT_MEMBERS_MAX: usize = 128;
    len <= COMPACT_MEMBERS_MAX && member <= COMPACT_ELEMENT_MAX
}

/// The sorted set type.
#[derive(Clone, Debug, Default)]
pub(crate) struct SortedSet {
    scores: IndexMap<Arc<[u8]>, f64, RandomState>,
    order: Order,
    weight: usize,
    /// Whether Redis would have left the compact encoding, which it never takes up again.
    outgrown: bool,
}

kind!(SortedSet, SortedSet);

impl SortedSet {
    /// An empty one that is never compact: for results that are answered, not stored.
    pub(crate) fn outgrown() -> Self {
        Self {
            outgrown: true,
            ..Self::default()
        }
    }

    /// The same in the compact encoding, if Redis would hold it so.
    pub(crate) fn compacted(self) -> Self {
        let longest = self.scores.keys().map(|member| member.len()).max().unwrap_or(0);
        if !fits_compact(self.len(), longest) {
            return self;
        }
        let mut compact = Self::default();
        for (member, score) in &self.scores {
            compact.insert(member, *score);
        }
        compact
    }

    /// Leaves the compact encoding, whatever the size.
    pub(crate) fn outgrow(&mut self) {
        self.outgrown = true;
    }

    pub(crate) fn len(&self) -> usize {
        self.scores.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    pub(crate) fn score(&self, member: &[u8]) -> Option<f64> {
        self.scores.get(member).copied()
    }

    /// How many members come before this one.
    pub(crate) fn rank(&self, member: &[u8]) -> Option<usize> {
        self.score(member).map(|score| self.order.rank(score, member))
    }

    /// Adds a member or gives it another score, which is never NaN.
    pub(crate) fn insert(&mut self, member: &[u8], score: f64) {
        let Some((position, member, old)) = self.scores.get_full(member) else {
            return self.add(member, score);
        };
        let (member, old) = (member.clone(), *old);
        if score == old {
            return;
        }
        self.order.remove(self.order.rank(old, &member));
        let score = self.held(score);
        self.scores[position] = score;
        self.order.insert(Item { score, member });
    }

    fn add(&mut self, member: &[u8], score: f64) {
        self.outgrown |= !fits_compact(self.len() + 1, member.len());
        self.weight += MEMBER_OVERHEAD + member.len();
        let (member, score) = (Arc::<[u8]>::from(member), self.held(score));
        self.scores.insert(member.clone(), score);
        self.order.insert(Item { score, member });
    }

    /// The score as Redis would hold it: its compact encoding has integers, and so no negative zero.
    fn held(&self, score: f64) -> f64 {
        if score == 0.0 && !self.outgrown { 0.0 } else { score }
    }

    /// Removes a member; whether it was there.
    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        let Some(rank) = self.rank(member) else {
            return false;
        };
        self.take(rank);
        true
    }

    /// Removes the members of these ranks.
    pub(crate) fn remove_range(&mut self, range: Range<usize>) -> Vec<Item> {
        let start = range.start;
        range.map(|_| self.take(start)).collect()
    }

    /// Removes the member at a rank below [`len`](Self::len).
    pub(crate) fn take(&mut self, rank: usize) -> Item {
        let item = self.order.remove(rank);
        self.scores.swap_remove(&item.member);
        self.weight -= MEMBER_OVERHEAD + item.member.len();
        item
    }

    /// The member at a position below [`len`](Self::len), which is not its rank; positions change with every removal.
    pub(crate) fn at(&self, position: usize) -> (&[u8], f64) {
        let (member, score) = self.scores.get_index(position).expect("positions are below the length");
        (member, *score)
    }

    /// Members and scores in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], f64)> {
        self.scores.iter().map(|(member, score)| (&**member, *score))
    }

    /// Members, scores and ranks.
    pub(crate) const fn order(&self) -> &Order {
        &self.order
    }

    /// Whether Redis would hold it in its compact encoding.
    pub(crate) const fn is_compact(&self) -> bool {
        !self.outgrown
    }

    pub(crate) fn encoding(&self) -> &'static str {
        if self.outgrown { "skiplist" } else { "listpack" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_has_one_score_and_one_rank() {
        let mut set = SortedSet::default();
        set.insert(b"a", 1.0);
        set.insert(b"b", 2.0);
        set.insert(b"a", 3.0);
        assert_eq!(
            (set.rank(b"a"), set.rank(b"b"), set.rank(b"c")),
            (Some(1), Some(0), None)
        );
        assert_eq!(set.order().len(), 2);
        assert_eq!(set.at(0), (&b"a"[..], 3.0));
        assert_eq!(set.weight(), 2 * (MEMBER_OVERHEAD + 1));
        assert!(set.remove(b"a") && !set.remove(b"a"));
        set.remove_range(0..1);
        assert_eq!((set.weight(), set.order().len()), (0, 0));
    }

    #[test]
    fn negative_zero_survives_in_large_sets_alone() {
        let mut set = SortedSet::default();
        set.insert(b"a", -0.0);
        assert!(set.score(b"a").is_some_and(f64::is_sign_positive));
        set.insert(&[b'x'; 65], -0.0);
        assert!(set.score(&[b'x'; 65]).is_some_and(f64::is_sign_negative));
        assert_eq!(set.encoding(), "skiplist");
    }
}
