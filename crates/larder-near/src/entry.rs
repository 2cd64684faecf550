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
///
/// 32 bytes: a hit copies it out of the map, and what a map of many entries costs is cache misses.
#[derive(Debug)]
pub struct Entry<V> {
    value: Option<Arc<V>>,
    /// The deadline on the monotonic clock in nanoseconds, its lowest byte taken for the partition and the tag.
    deadline: u64,
    uid: u64,
    epoch: u32,
    marker: u32,
}

/// The bits of the deadline that say something else: a copy may end a quarter of a microsecond early.
const PARTITION: u64 = 0x7f;
const TAGGED: u64 = 0x80;
const NOT_TIME: u64 = PARTITION | TAGGED;

/// A moment on the monotonic clock in nanoseconds: half the size of a `Duration` and enough for 584 years.
#[must_use]
#[inline]
pub const fn nanos(moment: Duration) -> u64 {
    moment
        .as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(moment.subsec_nanos() as u64)
}

// Derived, it would ask for `V: Clone`; only the pointer is cloned.
impl<V> Clone for Entry<V> {
    #[inline]
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            ..*self
        }
    }
}

impl<V> Entry<V> {
    /// A copy that may be served until `deadline` on the caller's monotonic clock, to a quarter of a microsecond;
    /// `None` is a remembered "there is none".
    ///
    /// # Panics
    /// If the partition is above 127.
    #[must_use]
    pub fn new(value: Option<Arc<V>>, deadline: Duration, stamp: Stamp) -> Self {
        let partition = u64::from(stamp.partition);
        assert!(partition <= PARTITION, "partitions are numbered from 0 to 127");
        let tagged = if stamp.tagged { TAGGED } else { 0 };
        Self {
            value,
            deadline: nanos(deadline) & !NOT_TIME | partition | tagged,
            uid: stamp.uid,
            epoch: stamp.epoch,
            marker: stamp.marker,
        }
    }

    /// The value; `None` says that there is none.
    #[must_use]
    #[inline]
    pub const fn value(&self) -> Option<&Arc<V>> {
        self.value.as_ref()
    }

    /// As [`into_value`](Self::into_value), from where the copy lies.
    #[inline]
    pub(crate) fn take_value(&mut self) -> Option<Arc<V>> {
        self.value.take()
    }

    /// The value, without counting a reference more.
    #[must_use]
    #[inline]
    pub fn into_value(self) -> Option<Arc<V>> {
        self.value
    }

    /// Until when the copy may be served.
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        Duration::from_nanos(self.deadline & !NOT_TIME)
    }

    /// Whether the copy may still be served at `now`.
    #[must_use]
    #[inline]
    pub fn is_fresh(&self, now: Duration) -> bool {
        self.ends_after(nanos(now))
    }

    /// As [`is_fresh`](Self::is_fresh), of a moment in [`nanos`].
    #[must_use]
    #[inline]
    pub const fn ends_after(&self, now: u64) -> bool {
        now < self.deadline & !NOT_TIME
    }

    /// What coherence needs to judge the copy.
    #[must_use]
    #[inline]
    pub const fn stamp(&self) -> Stamp {
        Stamp {
            uid: self.uid,
            epoch: self.epoch,
            marker: self.marker,
            partition: (self.deadline & PARTITION) as u8,
            tagged: self.deadline & TAGGED != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_gives_back_what_it_was_made_of_and_stays_small() {
        let stamp = Stamp {
            uid: u64::MAX,
            epoch: 7,
            marker: 9,
            partition: 63,
            tagged: true,
        };
        let deadline = Duration::from_secs(5);
        let entry = Entry::new(Some(Arc::new("v")), deadline, stamp);
        assert_eq!(entry.stamp(), stamp);
        assert!(deadline - entry.deadline() < Duration::from_nanos(256));
        assert_eq!(size_of_val(&entry), 32);
    }
}
