//! The number that orders the holders of one lock.

use std::fmt;

/// A number that every grant of a lock gets, greater than those of all grants before.
///
/// A holder that was paused cannot know that its lock has gone to another meanwhile; only what the lock protects can refuse
/// it: by keeping the greatest fence it has seen, and turning away a smaller one. The store draws it from its clock and from
/// the fence before, so that it grows even where all data were lost. It is at most 2^53.
///
/// ```
/// use larder_kit::lock::Fence;
///
/// let (first, second) = (Fence::new(1_767_225_600_000_000), Fence::new(1_767_225_600_000_001));
/// assert!(second > first);
/// assert_eq!(i64::from(second), 1_767_225_600_000_001); // what a BIGINT column holds
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(u64);

impl Fence {
    /// The fence of this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl From<Fence> for u64 {
    fn from(fence: Fence) -> Self {
        fence.0
    }
}

/// For columns, which have no unsigned numbers. One beyond `i64::MAX`, which no store draws, becomes `i64::MAX`.
impl From<Fence> for i64 {
    fn from(fence: Fence) -> Self {
        Self::try_from(fence.0).unwrap_or(Self::MAX)
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
