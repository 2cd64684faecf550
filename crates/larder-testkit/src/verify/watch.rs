//! What a server and its clients lose by themselves, noticed from outside.
//!
//! Eviction, a restart, memory that is full, or somebody's `FLUSHALL` take leases with them, and a cache that cannot reach
//! its store loads without one. Then two loads of a key may overlap, and nobody has broken a promise: rule C7 is not
//! judged around such a moment.

use std::{
    fmt::{self, Display},
    ops::AddAssign,
    sync::atomic::Ordering,
    time::Duration,
};

use larder_store::Store;

use super::{Subject, run::Shared};
use crate::history::{Event, Moment, Window};

/// How often the server is looked at. Whatever happened between two looks may have happened at any moment between them.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A look that comes later than this after the one before: something stood still for so long that leases may have run out.
const STILL_MAX: u64 = 1_000_000_000;

/// What was lost, or done without a lease, in a run that nobody in it did on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// How often the server was another run of itself, or another server.
    pub restarts: u64,
    /// Keys that it evicted for want of memory.
    pub evicted_keys: u64,
    /// Commands that it refused for want of memory.
    pub out_of_memory: u64,
    /// `FLUSHALL` and `FLUSHDB`, whoever gave them.
    pub flushes: u64,
    /// Times that it did not answer, or that everything stood still for a second.
    pub silences: u64,
    /// What the processes say themselves: [`Subject::unleased`].
    pub unleased: u64,
}

impl Losses {
    /// Whether there were any.
    #[must_use]
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

impl AddAssign for Losses {
    fn add_assign(&mut self, more: Self) {
        self.restarts += more.restarts;
        self.evicted_keys += more.evicted_keys;
        self.out_of_memory += more.out_of_memory;
        self.flushes += more.flushes;
        self.silences += more.silences;
        self.unleased += more.unleased;
    }
}

impl Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = [
            (self.restarts, "restarts of the server"),
            (self.evicted_keys, "keys evicted"),
            (self.out_of_memory, "commands refused for want of memory"),
            (self.flushes, "flushes"),
            (self.silences, "times without an answer"),
            (self.unleased, "reads or fills that went without a lease"),
        ];
        let told: Vec<String> = told
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if told.is_empty() {
            f.write_str("none")
        } else {
            f.write_str(&told.join(", "))
        }
    }
}

/// What one look shows: totals since the server's start, and since the processes'.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Look {
    run_id: String,
    uptime: u64,
    evicted_keys: u64,
    out_of_memory: u64,
    flushes: u64,
    unleased: u64,
}

impl Look {
    /// Reads what `INFO everything` answers. What a server does not tell stays 0.
    fn read(info: &str, unleased: u64) -> Self {
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = |text: &str| text.trim().parse().unwrap_or(0);
        let count = |name: &str| field(name).map_or(0, number);
        // Such as `calls=12,usec=24,..`.
        let first_of = |name: &str| {
            let first = field(name).and_then(|figures| figures.split([',', '=']).nth(1));
            first.map_or(0, number)
        };
        Self {
            run_id: field("run_id").unwrap_or_default().trim().to_owned(),
            uptime: count("uptime_in_seconds"),
            evicted_keys: count("evicted_keys"),
            out_of_memory: first_of("errorstat_OOM"),
            flushes: first_of("cmdstat_flushall") + first_of("cmdstat_flushdb"),
            unleased,
        }
    }

    /// What happened between `self` and a later look.
    fn until(&self, later: &Self) -> Losses {
        let is_other = self.run_id != later.run_id || later.uptime < self.uptime;
        let new = Self::default();
        // Another run counts from zero; `CONFIG RESETSTAT` does too, and nothing can be said of the span before it.
        let since = if is_other { &new } else { self };
        Losses {
            restarts: u64::from(is_other),
            evicted_keys: later.evicted_keys.saturating_sub(since.evicted_keys),
            out_of_memory: later.out_of_memory.saturating_sub(since.out_of_memory),
            flushes: later.flushes.saturating_sub(since.flushes),
            silences: 0,
            unleased: later.unleased.saturating_sub(self.unleased),
        }
    }
}

/// Looks again and again until the run is over, and once more: every span in which leases may have been lost is noted in
/// the history.
pub(super) async fn watch<S: Subject>(shared: &Shared, store: &Store, subjects: &[std::sync::Arc<S>]) -> Losses {
    let look = async || {
        let unleased = subjects.iter().map(|subject| subject.unleased()).sum();
        let info = store.run(redis::cmd("INFO").arg("everything")).await.ok()?;
        Some(Look::read(&redis::from_redis_value::<String>(info).ok()?, unleased))
    };
    let recorder = shared.rows.recorder();
    let mut losses = Losses::default();
    let (mut before, mut seen_at) = (None::<Look>, recorder.now());
    let mut was_silent = false;
    let mut window = None::<(Moment, Moment)>;
    let note = |window: Option<(Moment, Moment)>| {
        if let Some((start, end)) = window {
            recorder.note(Event::Window(Window::LostLeases { start, end }));
        }
    };
    loop {
        let is_last = shared.over.load(Ordering::Acquire);
        let now = recorder.now();
        let found = look().await;
        let answered_at = recorder.now();
        let mut lost = match (&before, &found) {
            (Some(before), Some(found)) => before.until(found),
            _ => Losses::default(),
        };
        let is_silent = found.is_none() || answered_at - seen_at > STILL_MAX;
        lost.silences += u64::from(is_silent && !was_silent);
        was_silent = is_silent;
        if lost.any() || is_silent {
            let until = shared.lease_lost_until();
            // A server that evicts all the time makes one long window, not one with every look.
            window = match window {
                Some((start, end)) if seen_at <= end => Some((start, until)),
                other => {
                    note(other);
                    Some((seen_at, until))
                }
            };
        }
        losses += lost;
        if found.is_some() {
            // What is counted after it was asked for belongs to the next span.
            (before, seen_at) = (found, now);
        }
        if is_last {
            note(window);
            return losses;
        }
        shared.clock.sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "# Server\r\nrun_id:abc\r\nuptime_in_seconds:7\r\nevicted_keys:3\r\n# Errorstats\r\n\
        errorstat_OOM:count=2\r\ncmdstat_flushall:calls=4,usec=9,usec_per_call=2.25\r\ncmdstat_flushdb:calls=1,usec=1\r\n";

    #[test]
    fn a_look_reads_what_info_tells_and_takes_the_rest_as_none() {
        let look = Look::read(INFO, 5);
        let expected = Look {
            run_id: "abc".into(),
            uptime: 7,
            evicted_keys: 3,
            out_of_memory: 2,
            flushes: 5,
            unleased: 5,
        };
        assert_eq!(look, expected);
        assert_eq!(Look::read("nothing:1\r\n", 0), Look::default());
    }

    #[test]
    fn what_happened_is_the_difference_and_all_of_it_after_a_restart() {
        let before = Look::read(INFO, 5);
        assert!(!before.until(&before).any());
        let later = Look {
            evicted_keys: 10,
            unleased: 6,
            ..before.clone()
        };
        let lost = before.until(&later);
        assert_eq!((lost.evicted_keys, lost.unleased, lost.restarts), (7, 1, 0));
        assert_eq!(
            lost.to_string(),
            "7 keys evicted, 1 reads or fills that went without a lease"
        );
        let restarted = Look {
            run_id: "def".into(),
            ..before.clone()
        };
        let lost = before.until(&restarted);
        assert_eq!((lost.evicted_keys, lost.restarts, lost.unleased), (3, 1, 0));
        let younger = Look {
            uptime: 1,
            ..before.clone()
        };
        assert_eq!(before.until(&younger).restarts, 1);
    }
}
