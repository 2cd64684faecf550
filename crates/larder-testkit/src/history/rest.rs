//! C8: when everything has come to rest, all tiers agree with the source.

use std::collections::BTreeMap;

/// What one tier holds of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Which tier of which process, such as `near of process 2`.
    pub tier: String,
    /// The key.
    pub key: u64,
    /// The version it would serve.
    pub version: u64,
}

/// A tier that disagrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// What it holds.
    pub copy: Copy,
    /// What the source holds; none if it does not know the key.
    pub source: Option<u64>,
}

/// Compares every copy with the source. To be called when nobody writes, nothing is pending, and the near tiers' bound
/// has passed.
#[must_use]
pub fn compare_at_rest(source: &BTreeMap<u64, u64>, copies: impl IntoIterator<Item = Copy>) -> Vec<Mismatch> {
    copies
        .into_iter()
        .map(|copy| Mismatch {
            source: source.get(&copy.key).copied(),
            copy,
        })
        .filter(|mismatch| mismatch.source != Some(mismatch.copy.version))
        .collect()
}
