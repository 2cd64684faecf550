//! What both models are made of.

/// An identifier: a token, an incarnation, a stamp. 0 is none; compared for equality only.
pub(super) type Id = u8;

/// What a tag's validity hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Stamp {
    pub(super) id: Id,
    pub(super) tseq: u8,
}

/// The marker M of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Marker {
    pub(super) incarnation: Id,
    pub(super) tseq: u8,
}
