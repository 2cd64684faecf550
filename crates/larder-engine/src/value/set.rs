//! A set: members without order or repetition.
//!
//! The members sit in an `IndexSet`, dense, for the reasons that [`db`](crate::db) gives for keys.

use ahash::RandomState;
use indexmap::IndexSet;

use crate::{
    command::parse_int,
    value::{Bytes, kind},
};

/// What a member costs beside its bytes: the table's slot, hash and index, an allocation.
const MEMBER_OVERHEAD: usize = 64;

/// The set type.
#[derive(Clone, Debug, Default)]
pub(crate) struct Set {
    members: IndexSet<Bytes, RandomState>,
    weight: usize,
    /// Whether Redis would have left the encoding as sorted integers, which it never takes up again.
    outgrown: bool,
}

kind!(Set, Set);

impl Set {
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    pub(crate) fn contains(&self, member: &[u8]) -> bool {
        self.members.contains(member)
    }

    /// Adds a member; whether it is new.
    pub(crate) fn add(&mut self, member: &[u8]) -> bool {
        /// `set-max-intset-entries` by default.
        const INTEGERS_MAX: usize = 512;
        if self.members.contains(member) {
            return false;
        }
        self.members.insert(member.into());
        self.weight += MEMBER_OVERHEAD + member.len();
        self.outgrown = self.outgrown || self.len() > INTEGERS_MAX || parse_int(member).is_none();
        true
    }

    /// Removes a member; whether it was there.
    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        let position = self.members.get_index_of(member);
        position.is_some_and(|position| {
            self.take(position);
            true
        })
    }

    /// Removes the member at a position below [`len`](Self::len); positions change with every removal.
    pub(crate) fn take(&mut self, position: usize) -> Bytes {
        let member = self
            .members
            .swap_remove_index(position)
            .expect("positions are below the length");
        self.weight -= MEMBER_OVERHEAD + member.len();
        member
    }

    /// The member at a position below [`len`](Self::len).
    pub(crate) fn at(&self, position: usize) -> &[u8] {
        self.members
            .get_index(position)
            .expect("positions are below the length")
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.members.iter().map(AsRef::as_ref)
    }

    pub(crate) fn encoding(&self) -> &'static str {
        if self.outgrown { "hashtable" } else { "intset" }
    }
}

impl<'a> FromIterator<&'a [u8]> for Set {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(members: I) -> Self {
        let mut set = Self::default();
        members.into_iter().for_each(|member| _ = set.add(member));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_returns_to_zero() {
        let mut set = Set::default();
        assert!(set.add(b"a") && set.add(b"bc") && !set.add(b"a"));
        assert_eq!(set.weight(), 2 * MEMBER_OVERHEAD + 3);
        assert!(set.remove(b"a") && !set.remove(b"a"));
        set.take(0);
        assert_eq!(set.weight(), 0);
    }

    #[test]
    fn integers_are_told_until_something_else_comes() {
        let mut set = Set::default();
        (0..512).for_each(|i| _ = set.add(i.to_string().as_bytes()));
        assert_eq!(set.encoding(), "intset");
        let mut mixed = set.clone();
        mixed.add(b"007");
        set.add(b"512");
        set.remove(b"512");
        assert_eq!((set.encoding(), mixed.encoding()), ("hashtable", "hashtable"));
    }
}
