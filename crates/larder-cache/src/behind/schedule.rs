//! When this process looks at which partition: as soon as what it wrote itself is due, and at all of them once a second, for
//! what others wrote and did not flush.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::layout::PARTITIONS;

/// How often all partitions are looked at: what a process that died left behind is flushed this much later. A look at one
/// where nothing is due costs the server a few microseconds.
pub(super) const SWEEP: Duration = Duration::from_secs(1);

/// Which partitions are due when, on this process's clock.
pub(super) struct Schedule {
    due: Mutex<[Option<Duration>; PARTITIONS]>,
    earlier: Notify,
}

impl Schedule {
    pub(super) fn new() -> Self {
        Self {
            due: Mutex::new([None; PARTITIONS]),
            earlier: Notify::new(),
        }
    }

    /// Something in `partition` is due at `at`.
    pub(super) fn note(&self, partition: u8, at: Duration) {
        let mut due = self.due.lock();
        let known = &mut due[usize::from(partition)];
        if known.is_some_and(|known| known <= at) {
            return;
        }
        *known = Some(at);
        drop(due);
        self.earlier.notify_one();
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Duration> {
        self.due.lock().iter().flatten().min().copied()
    }

    /// Something may be due before what [`next`](Self::next) said.
    pub(super) async fn earlier(&self) {
        self.earlier.notified().await;
    }

    /// Takes what is due at `now`.
    pub(super) fn take(&self, now: Duration) -> Vec<u8> {
        let mut due = self.due.lock();
        let mut taken = Vec::new();
        for (partition, at) in due.iter_mut().enumerate() {
            if at.is_some_and(|at| at <= now) {
                *at = None;
                taken.push(partition as u8);
            }
        }
        taken
    }

    /// Takes all.
    pub(super) fn take_all(&self) -> Vec<u8> {
        *self.due.lock() = [None; PARTITIONS];
        (0..PARTITIONS as u8).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_moment_of_a_partition_counts_and_is_taken_once() {
        let (schedule, at) = (Schedule::new(), Duration::from_millis);
        schedule.note(3, at(20));
        schedule.note(3, at(30));
        schedule.note(5, at(40));
        assert_eq!(schedule.next(), Some(at(20)));
        assert!(schedule.take(at(19)).is_empty());
        assert_eq!(schedule.take(at(25)), [3]);
        assert_eq!(schedule.next(), Some(at(40)));
        assert_eq!(schedule.take_all().len(), PARTITIONS);
        assert_eq!(schedule.next(), None);
    }
}
