//! One timer per connection instead of one per command.
//!
//! The `redis` crate arms a timer for each response, which takes 11 to 27 % of its CPU under load. Here a command only
//! counts itself into the current slot of a ring and out again, and the connection's keeper turns the ring eight times
//! per deadline: a slot that is a whole deadline old and not empty holds a command without an answer. Since answers come
//! in order, everything behind it waits as well, so the connection is given up as a whole.

use std::{
    sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

/// How many times per deadline the ring turns: a deadline is noticed at most an eighth of it late.
const TICKS: usize = 8;

/// More than `TICKS` and the one that is being filled, so that a slot is empty before it is used again.
const SLOTS: usize = 16;

/// The commands that wait for their answer on one shared connection and its successors, by age.
///
/// A connection that ends fails everything that waits on it, so nothing of it is left when the next one begins.
///
/// All orderings are relaxed: these are counts, and no other memory is read on their account.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    /// Read by every command, written eight times per deadline: apart from what every command writes.
    current: AtomicUsize,
    abandoned: AtomicU32,
    counts: Counts,
}

/// On cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counts([AtomicU32; SLOTS]);

impl Deadlines {
    /// The time between two turns of the ring.
    pub(super) fn tick(deadline: Duration) -> Duration {
        deadline / TICKS as u32
    }

    /// Counts a command in; dropping the ticket counts it out.
    #[inline]
    pub(super) fn enter(&self) -> Ticket<'_> {
        let slot = self.current.load(Relaxed);
        self.counts.0[slot].fetch_add(1, Relaxed);
        Ticket {
            deadlines: self,
            slot,
            answered: false,
        }
    }

    /// Whether several commands of late are under way.
    #[inline]
    pub(super) fn is_crowded(&self) -> bool {
        self.counts.0[self.current.load(Relaxed)].load(Relaxed) > 1
    }

    /// How many commands wait for their answer.
    pub(super) fn in_flight(&self) -> u64 {
        self.counts.0.iter().map(|count| u64::from(count.load(Relaxed))).sum()
    }

    /// Turns the ring; `true` if a command is past its deadline.
    pub(super) fn turn(&self) -> bool {
        let next = (self.current.load(Relaxed) + 1) % SLOTS;
        self.current.store(next, Relaxed);
        // What this slot holds was sent between TICKS and TICKS + 1 turns ago.
        let due = (next + SLOTS - TICKS - 1) % SLOTS;
        self.counts.0[due].load(Relaxed) > 0
    }

    /// Whether callers gave up waiting since this was last asked: then only a probe can tell a dead connection.
    pub(super) fn was_abandoned(&self) -> bool {
        self.abandoned.swap(0, Relaxed) > 0
    }
}

/// A command's place in the ring.
#[derive(Debug)]
pub(super) struct Ticket<'a> {
    deadlines: &'a Deadlines,
    slot: usize,
    answered: bool,
}

impl Ticket<'_> {
    /// An answer arrived, whatever it was.
    #[inline]
    pub(super) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Ticket<'_> {
    #[inline]
    fn drop(&mut self) {
        self.deadlines.counts.0[self.slot].fetch_sub(1, Relaxed);
        if !self.answered {
            self.deadlines.abandoned.fetch_add(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_overdue_after_a_deadline_and_at_most_one_tick() {
        let deadlines = Deadlines::default();
        let ticket = deadlines.enter();
        for turn in 0..TICKS {
            assert!(!deadlines.turn(), "after {turn} turns");
        }
        assert!(deadlines.turn());
        drop(ticket);
    }

    #[test]
    fn answered_commands_are_never_overdue() {
        let deadlines = Deadlines::default();
        for _ in 0..1_000 {
            let ticket = deadlines.enter();
            assert!(!deadlines.turn());
            ticket.answered();
        }
        assert!(!deadlines.was_abandoned());
    }

    #[test]
    fn a_caller_who_gives_up_is_noticed_once() {
        let deadlines = Deadlines::default();
        drop(deadlines.enter());
        assert!(deadlines.was_abandoned());
        assert!(!deadlines.was_abandoned());
    }
}
