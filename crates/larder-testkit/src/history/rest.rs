//! C8: when everything has come to rest, all tiers agree with the source, and the source has every write.

use std::collections::BTreeMap;

use super::Event;

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

/// Acknowledged writes of `history` that `source` has not: its version of the key is older. To be called when nothing is on
/// its way to the source any more.
#[must_use]
pub fn lost_writes(history: &[Event], source: &BTreeMap<u64, u64>) -> u64 {
    let is_lost = |event: &&Event| match event {
        Event::Write(write) if write.acknowledged.is_some() => {
            write.version > source.get(&write.key).copied().unwrap_or(0)
        }
        _ => false,
    };
    history.iter().filter(is_lost).count() as u64
}
