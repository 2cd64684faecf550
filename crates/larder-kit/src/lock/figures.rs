//! What locks of all kinds count.

use crate::{
    figures::Series,
    metric::{LOCKS, LOCKS_LOST},
};

pub(super) const GRANTED: usize = 0;
pub(super) const BUSY: usize = 1;
pub(super) const FAILED: usize = 2;
pub(super) const LOST_TAKEN: usize = 3;
pub(super) const LOST_EXPIRED: usize = 4;

/// In the order of the numbers above.
pub(super) static SERIES: &[Series] = &[
    (LOCKS, Some("granted")),
    (LOCKS, Some("busy")),
    (LOCKS, Some("failed")),
    (LOCKS_LOST, Some("taken")),
    (LOCKS_LOST, Some("expired")),
];
