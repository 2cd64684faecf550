//! What may be the key of a cache, and how it is written.

use std::{borrow::Cow, fmt::Debug, hash::Hash};

/// One part of a key, typed, so that a store writes it as text and a database binds it as what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPart<'a> {
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    Uint(u64),
    /// Text.
    Text(Cow<'a, str>),
    /// Bytes that need not be text.
    Bytes(Cow<'a, [u8]>),
    /// A UUID, as its 16 bytes.
    Uuid([u8; 16]),
}

/// The parts of a key in order: one for a plain key, several for a composite one.
pub type KeyParts<'a> = Vec<KeyPart<'a>>;

/// A type that can be the key of a cache: integers, strings, UUIDs, tuples of them.
///
/// Two keys are equal exactly if their parts are, and [`from_parts`](Self::from_parts) undoes
/// [`parts`](Self::parts): an invalidation arrives as the written key and must find the typed entry.
pub trait CacheKey: Clone + Eq + Hash + Debug + Send + Sync + 'static {
    /// The parts of this key.
    fn parts(&self) -> KeyParts<'_>;

    /// The key whose parts, written as text, are these; `None` if they are of no such key.
    fn from_parts(parts: &[Cow<'_, [u8]>]) -> Option<Self>;
}
