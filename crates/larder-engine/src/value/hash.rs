//! A hash: fields and their values.
//!
//! The fields sit in an `IndexMap`, dense, for the reasons that [`db`](crate::db) gives for keys: a fair random
//! field in O(1), and an `HSCAN` without state that walks positions downwards. Overwriting keeps the position.
//! The hasher's seed never shows, since nothing iterates in the order of hashes.

use ahash::RandomState;
use indexmap::IndexMap;

use crate::value::{Bytes, kind};

/// What a field costs beside its bytes: the map's slot, hash and index, two allocations.
const FIELD_OVERHEAD: usize = 96;

/// `hash-max-listpack-entries` by default.
const COMPACT_FIELDS_MAX: usize = 512;

/// The hash type.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hash {
    fields: IndexMap<Bytes, Bytes, RandomState>,
    weight: usize,
    /// Whether Redis would have left the compact encoding, which it never takes up again.
    outgrown: bool,
}

kind!(Hash, Hash);

impl Hash {
    pub(crate) fn len(&self) -> usize {
        self.fields.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    pub(crate) fn get(&self, field: &[u8]) -> Option<&[u8]> {
        self.fields.get(field).map(AsRef::as_ref)
    }

    /// Sets a field; whether it is new.
    pub(crate) fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        let is_new = match self.fields.get_mut(field) {
            Some(slot) => {
                self.weight -= slot.len();
                *slot = value.into();
                false
            }
            None => {
                self.fields.insert(field.into(), value.into());
                self.weight += FIELD_OVERHEAD + field.len();
                true
            }
        };
        self.weight += value.len();
        self.outgrown |= self.len() > COMPACT_FIELDS_MAX || field.len().max(value.len()) > COMPACT_ELEMENT_MAX;
        is_new
    }

    /// Removes a field; whether it was there.
    pub(crate) fn remove(&mut self, field: &[u8]) -> bool {
        let Some((field, value)) = self.fields.swap_remove_entry(field) else {
            return false;
        };
        self.weight -= FIELD_OVERHEAD + field.len() + value.len();
        true
    }

    /// The field and value at a position below [`len`](Self::len); positions change with every removal.
    pub(crate) fn at(&self, position: usize) -> (&[u8], &[u8]) {
        let (field, value) = self.fields.get_index(position).expect("positions are below the length");
        (field, value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|(field, value)| (&**field, &**value))
    }

    pub(crate) fn encoding(&self) -> &'static str {
        if self.outgrown { "hashtable" } else { "listpack" }
    }
}

/// The longest field, value or member in a compact encoding: `hash-max-listpack-value` and
/// `zset-max-listpack-value` by default.
pub(super) const COMPACT_ELEMENT_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_returns_to_zero() {
        let mut hash = Hash::default();
        hash.set(b"a", b"1");
        hash.set(b"b", b"longer");
        hash.set(b"a", b"something else");
        assert_eq!(hash.weight(), 2 * FIELD_OVERHEAD + 2 + 6 + 14);
        assert!(hash.remove(b"a") && hash.remove(b"b") && !hash.remove(b"b"));
        assert_eq!(hash.weight(), 0);
    }

    #[test]
    fn an_overwritten_field_keeps_its_position() {
        let mut hash = Hash::default();
        for field in [b"a", b"b", b"c"] {
            hash.set(field, b"1");
        }
        hash.set(b"a", b"2");
        assert_eq!(hash.at(0), (&b"a"[..], &b"2"[..]));
    }

    #[test]
    fn the_compact_encoding_does_not_come_back() {
        let mut hash = Hash::default();
        hash.set(b"f", &[b'x'; 64]);
        assert_eq!(hash.encoding(), "listpack");
        hash.set(b"f", &[b'x'; 65]);
        hash.set(b"f", b"x");
        assert_eq!(hash.encoding(), "hashtable");
    }
}
