//! What the engine counts of itself, for `INFO` and `SLOWLOG`.

use std::time::Duration;

/// Counters since the start or the last `CONFIG RESETSTAT`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stats {
    pub(crate) connections: u64,
    pub(crate) commands: u64,
    pub(crate) expired_keys: u64,
    pub(crate) evicted_keys: u64,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) error_replies: u64,
    /// By the number that the table of commands gives each; longer with the first call of a higher number.
    calls: Vec<Calls>,
}

/// The calls of one command.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Calls {
    pub(crate) calls: u64,
    /// Summed from the kernel's coarse clock. Most single calls are shorter than its tick and add nothing, a few add
    /// a whole tick: the sum is right in the long run, and costs a twentieth of exact timing.
    pub(crate) spent: Duration,
    /// Refused before they ran: by number of arguments, memory, authentication.
    pub(crate) rejected: u64,
    /// Ran and answered with an error.
    pub(crate) failed: u64,
}

impl Stats {
    /// The calls of the command with this number.
    pub(crate) fn of(&mut self, number: usize) -> &mut Calls {
        if number >= self.calls.len() {
            self.calls.resize(number + 1, Calls::default());
        }
        &mut self.calls[number]
    }

    /// A command ran.
    pub(crate) fn count(&mut self, number: usize, spent: Duration, is_failed: bool) {
        self.commands += 1;
        self.error_replies += u64::from(is_failed);
        let calls = self.of(number);
        calls.calls += 1;
        calls.spent += spent;
        calls.failed += u64::from(is_failed);
    }

    /// The commands that were called or refused, by number.
    pub(crate) fn called(&self) -> impl Iterator<Item = (usize, &Calls)> {
        let used = |calls: &Calls| calls.calls > 0 || calls.rejected > 0;
        self.calls.iter().enumerate().filter(move |(_, calls)| used(calls))
    }
}
