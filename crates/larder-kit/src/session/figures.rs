//! What the sessions of a namespace count.

use crate::{figures::Series, metric};

/// What is counted, at its place in [`SERIES`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Count {
    Found,
    Absent,
    LoadFailed,
    Saved,
    Refused,
    SaveGone,
    SaveFailed,
    Created,
    SignedIn,
    Rotated,
    Deleted,
    Revoked,
}

pub(super) const SERIES: &[Series] = &[
    (metric::SESSION_LOADS, Some("found")),
    (metric::SESSION_LOADS, Some("absent")),
    (metric::SESSION_LOADS, Some("failed")),
    (metric::SESSION_SAVES, Some("saved")),
    (metric::SESSION_SAVES, Some("refused")),
    (metric::SESSION_SAVES, Some("gone")),
    (metric::SESSION_SAVES, Some("failed")),
    (metric::SESSION_TURNS, Some("created")),
    (metric::SESSION_TURNS, Some("signed_in")),
    (metric::SESSION_TURNS, Some("rotated")),
    (metric::SESSION_TURNS, Some("deleted")),
    (metric::SESSION_TURNS, Some("revoked")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_has_its_series() {
        assert_eq!(SERIES.len(), Count::Revoked as usize + 1);
        assert_eq!(SERIES[Count::SaveFailed as usize].1, Some("failed"));
        assert_eq!(SERIES[Count::Created as usize].1, Some("created"));
    }
}
