//! What the near tier keeps of a value.

use std::{sync::Arc, time::Duration};

/// Which store record a copy was made from, and under what: coherence compares it with what is true now.
///
/// All zero where nothing keeps the copy coherent but its deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// The record's `entry_uid` and the first four bytes of its payload: enough to ask whether it is still the same.
    pub uid: u64,
    /// The epoch of the invalidation stream that vouches for the copy; a copy of another epoch is dead.
    pub epoch: u32,
    /// The revision of the partition's marker when the copy was made.
    pub marker: u32,
    /// The key's partition.
    pub partition: u8,
    /// Whether the value has tags, so that any tag invalidation in its partition puts it in doubt.
    pub tagged: bool,
}

/// A copy of a value, or of the knowledge that there is none.
#[derive(Debug)]
pub struct Entry<V> {
    value: Option<Arc<V>>,
    born: Nanos,
    deadline: Nanos,
    stamp: Stamp,
}

/// A moment on the monotonic clock, half the size of a `Duration` and enough for 584 years: entries are many.
type Nanos = u64;

fn nanos(moment: Duration) -> Nanos {
    moment
        .as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::from(moment.subsec_nanos()))
}

// Derived, it would ask for `V: Clone`; only the pointer is cloned.
impl<V> Clone for Entry<V> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            born: self.born,
            deadline: self.deadline,
            stamp: self.stamp,
        }
    }
}

impl<V> Entry<V> {
    /// A copy that was fresh in the store at `born` and may be served until `deadline`, both on the caller's
    /// monotonic clock; `None` is a remembered "there is none".
    #[must_use]
    pub fn new(value: Option<Arc<V>>, born: Duration, deadline: Duration, stamp: Stamp) -> Self {
        Self {
            value,
            born: nanos(born),
            deadline: nanos(deadline),
            stamp,
        }
    }

    /// The value; `None` says that there is none.
    #[must_use]
    #[inline]
    pub const fn value(&self) -> Option<&Arc<V>> {
        self.value.as_ref()
    }

    /// The value, without counting a reference more.
    #[must_use]
    #[inline]
    pub fn into_value(self) -> Option<Arc<V>> {
        self.value
    }

    /// When the value was written, on the clock of the one who installed it.
    #[must_use]
    pub const fn born(&self) -> Duration {
        Duration::from_nanos(self.born)
    }

    /// Until when the copy may be served.
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        Duration::from_nanos(self.deadline)
    }

    /// Whether the copy may still be served at `now`.
    #[must_use]
    #[inline]
    pub fn is_fresh(&self, now: Duration) -> bool {
        nanos(now) < self.deadline
    }

    /// What coherence needs to judge the copy.
    #[must_use]
    #[inline]
    pub const fn stamp(&self) -> Stamp {
        self.stamp
    }
}
