//! What the engine counts of itself, for `INFO` and `SLOWLOG`.

use std::{collections::BTreeMap, time::Duration};

use crate::{ErrorReply, core::Core};

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
    /// The most bytes that were seen to be used.
    pub(crate) memory_peak: usize,
    pub(crate) rate: Rate,
    /// By code.
    errors: BTreeMap<String, u64>,
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
        let calls = self.of(number);
        calls.calls += 1;
        calls.spent += spent;
        calls.failed += u64::from(is_failed);
    }

    /// An error was answered.
    pub(crate) fn count_error(&mut self, error: &ErrorReply) {
        /// Scripts make up codes: so many different ones are told apart, as in Redis.
        const CODES_MAX: usize = 128;
        self.error_replies += 1;
        if let Some(count) = self.errors.get_mut(error.code()) {
            *count += 1;
        } else if self.errors.len() < CODES_MAX {
            self.errors.insert(error.code().to_owned(), 1);
        }
    }

    /// How often each code was answered.
    pub(crate) fn errors(&self) -> impl Iterator<Item = (&str, u64)> {
        self.errors.iter().map(|(code, count)| (code.as_str(), *count))
    }

    /// The commands that were called or refused, by number.
    pub(crate) fn called(&self) -> impl Iterator<Item = (usize, &Calls)> {
        let used = |calls: &Calls| calls.calls > 0 || calls.rejected > 0;
        self.calls.iter().enumerate().filter(move |(_, calls)| used(calls))
    }
}

/// How many commands run in a second, from two counts at different times.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate {
    before: (u64, u64),
    last: (u64, u64),
}

impl Rate {
    /// So many commands had run at this moment (Unix ms).
    pub(crate) fn sample(&mut self, now: u64, commands: u64) {
        self.before = self.last;
        self.last = (now, commands);
    }

    /// Commands a second between the last two samples; 0 if they are old.
    pub(crate) fn per_second(&self, now: u64) -> u64 {
        /// An engine that nobody uses takes no samples.
        const OLD: u64 = 2_000;
        let span = self.last.0.saturating_sub(self.before.0);
        if span == 0 || now.abs_diff(self.last.0) > OLD {
            return 0;
        }
        self.last.1.saturating_sub(self.before.1) * 1_000 / span
    }
}

impl Core {
    /// Keeps the most bytes that were used at one time.
    pub(crate) fn note_memory(&mut self) {
        self.stats.memory_peak = self.stats.memory_peak.max(self.used_memory());
    }
}
