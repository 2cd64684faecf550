//! A value of a size that is known, where memory and inserts are measured.

use serde::{Deserialize, Serialize};

/// 64 bytes and nothing on the heap.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Row([u64; 8]);

/// What every entry holds, whoever holds it.
pub(crate) const PAYLOAD: usize = size_of::<Row>();

impl Row {
    pub(crate) const fn number(id: u64) -> Self {
        Self([id; 8])
    }
}

/// A bounded cache in process.
pub(crate) trait Inserts {
    /// Puts the row of this number under it.
    fn insert(&self, id: u64);
}
