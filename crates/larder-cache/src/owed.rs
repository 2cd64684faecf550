//! What an invalidation asks of the store. All of it is as good twice as once, and however late (protocol 1.3).

use std::{mem, sync::Arc};

use bytes::Bytes;

use crate::{script::Token, settings::MAX_TAGS};

/// Keys per pipeline: each takes a few microseconds of the server, and no other client should wait longer than a few
/// milliseconds.
const KEYS_PER_BATCH: usize = 500;

/// One invalidation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Owed {
    /// Of one entry, under its key in the store.
    Entry(Bytes, Deed),
    /// Of every value with this tag.
    Tag(Arc<str>),
    /// Of the whole namespace.
    All,
}

/// What is to happen to one entry. A later one does all that an earlier one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Deed {
    /// `mark_stale`: its value serves only if a load fails.
    Age,
    /// `inv`: its value and its lease die.
    Drop,
    /// `endw`: the hold of this token ends, and whatever stands there without a hold dies.
    End(Token),
}

impl Owed {
    pub(crate) const fn drop_of(e: Bytes) -> Self {
        Self::Entry(e, Deed::Drop)
    }

    /// How many of a kind go to the store in one round trip.
    const fn per_batch(&self) -> usize {
        match self {
            Self::Entry(..) => KEYS_PER_BATCH,
            Self::Tag(_) => MAX_TAGS,
            Self::All => 1,
        }
    }
}

/// The first of `owed` that go to the store together.
pub(crate) fn first_batch(owed: &[Owed]) -> &[Owed] {
    let Some(first) = owed.first() else { return owed };
    let kind = mem::discriminant(first);
    let alike = owed.iter().take_while(|next| mem::discriminant(*next) == kind);
    &owed[..alike.take(first.per_batch()).count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_of_one_kind_and_bounded() {
        let entry = |n: usize| Owed::drop_of(Bytes::from(n.to_string()));
        let mut owed: Vec<Owed> = (0..501).map(entry).collect();
        owed.extend([Owed::Tag("t".into()), Owed::Tag("u".into()), Owed::All, Owed::All]);
        let mut sizes = Vec::new();
        let mut rest = owed.as_slice();
        while !rest.is_empty() {
            let batch = first_batch(rest);
            sizes.push(batch.len());
            rest = &rest[batch.len()..];
        }
        assert_eq!(sizes, [500, 1, 2, 1, 1]);
    }

    #[test]
    fn a_later_deed_does_what_an_earlier_one_does() {
        assert!(Deed::Age < Deed::Drop && Deed::Drop < Deed::End([0; 16]));
    }
}
