//! The rules C1 to C7 and C9, in O(n log n) a key; those of locks are in `locks`, those of writing behind in `behind`.

use std::{collections::BTreeMap, fmt, time::Duration};

use hdrhistogram::Histogram;

use super::{
    behind,
    event::{Effect, Event, Held, Load, Moment, Read, Served, Taken, Window, Write},
    locks,
};

/// What the cache under test promises.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long after its acknowledgement a write may be unknown to a near tier: δ(1+ρ) and a clock tick. 1 s by default.
    pub near: Duration,
    /// How long past its TTL a value may be served. 0 by default.
    pub grace: Duration,
    /// Writes are strict: what counts is when a commit became visible, not when it was acknowledged. Off by default.
    pub strict: bool,
    /// How stale a read may be that begins in a declared window of lost data. 0 by default.
    pub rollback: Duration,
    /// Writes reach the source later: the history has what it [took](Event::Taken), and C11 and C12 are judged. Off by default.
    pub behind: bool,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            near: Duration::from_secs(1),
            grace: Duration::ZERO,
            strict: false,
            rollback: Duration::ZERO,
            behind: false,
        }
    }
}

/// The rules, numbered as in the module's page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the module's table says what each is")]
pub enum Rule {
    C1,
    C2,
    C3,
    C4,
    C5,
    C6,
    C7,
    C8,
    C9,
    C10,
    C11,
    C12,
    C13,
}

impl Rule {
    /// What it means that this rule was broken, in a few words.
    #[must_use]
    pub const fn broken(self) -> &'static str {
        match self {
            Self::C1 => "a stale read past the near tier",
            Self::C2 => "a stale near read, beyond its bound",
            Self::C3 => "a strict write was missed",
            Self::C4 => "a value served past its grace",
            Self::C5 => "a key went back within one process",
            Self::C6 => "a value that nobody wrote",
            Self::C7 => "two loads of a key at one time",
            Self::C8 => "a tier disagrees with the source at rest",
            Self::C9 => "stale for longer than data may be lost",
            Self::C10 => "a lock had two holders, or an older one had the last word",
            Self::C11 => "an accepted write never reached the source",
            Self::C12 => "the source of a key went back",
            Self::C13 => "a rate limit admitted too much, or too little",
        }
    }
}

/// `C1 (a stale read past the near tier)`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?} ({})", self.broken())
    }
}

/// A rule broken, with what shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// The key.
    pub key: u64,
    /// What happened, for a person.
    pub what: String,
}

/// The outcome of a check.
#[derive(Debug)]
pub struct Report {
    /// Reads that were checked.
    pub reads: u64,
    /// Writes in the history.
    pub writes: u64,
    /// Loads in the history.
    pub loads: u64,
    /// Versions that the source took, of writes that reach it later.
    pub taken: u64,
    /// Grants of locks in the history.
    pub grants: u64,
    /// Effects under locks in the history.
    pub effects: u64,
    /// Reads that missed a write settled before they began, beyond the bound of whoever answered.
    pub stale_reads: u64,
    /// Reads that did so within the bound: of a near tier, or in a window of lost data.
    pub late_reads: u64,
    /// Loads of one key, or holders of one lock, that overlapped around a moment when leases were lost: C7, and that a lock has
    /// one holder, are not judged there. Fences are.
    pub overlaps_not_judged: u64,
    /// Rules broken, a thousand times each at most. Empty for a correct cache.
    pub violations: Vec<Violation>,
    /// How stale both kinds were, in microseconds: since the oldest write that they missed was acknowledged.
    pub staleness: Histogram<u64>,
}

/// More violations of one rule than this say nothing new; the count of stale reads goes on.
const VIOLATIONS_MAX: usize = 1_000;

/// Checks a history against what the cache promises.
#[must_use]
pub fn check(history: &[Event], bounds: &Bounds) -> Report {
    let mut keys: BTreeMap<u64, Key> = BTreeMap::new();
    let mut windows = Vec::new();
    for event in history {
        match *event {
            Event::Read(read) => keys.entry(read.key).or_default().reads.push(read),
            Event::Write(write) => keys.entry(write.key).or_default().writes.push(write),
            Event::Load(load) => keys.entry(load.key).or_default().loads.push(load),
            Event::Taken(taken) => keys.entry(taken.key).or_default().taken.push(taken),
            Event::Held(held) => keys.entry(held.key).or_default().held.push(held),
            Event::Effect(effect) => keys.entry(effect.key).or_default().effects.push(effect),
            Event::Window(window) => windows.push(window),
        }
    }
    let mut checker = Checker {
        bounds,
        windows: &windows,
        noted: BTreeMap::new(),
        report: Report::empty(),
    };
    for (key, mut events) in keys {
        checker.key(key, &mut events);
    }
    checker.report
}

#[derive(Default)]
struct Key {
    reads: Vec<Read>,
    writes: Vec<Write>,
    loads: Vec<Load>,
    taken: Vec<Taken>,
    held: Vec<Held>,
    effects: Vec<Effect>,
}

impl Report {
    fn empty() -> Self {
        /// A day in microseconds: staler than that is as stale as that.
        const LONGEST: u64 = 86_400_000_000;
        const DIGITS: u8 = 3;
        let staleness = Histogram::new_with_max(LONGEST, DIGITS).expect("the bounds are allowed");
        Self {
            reads: 0,
            writes: 0,
            loads: 0,
            taken: 0,
            grants: 0,
            effects: 0,
            stale_reads: 0,
            late_reads: 0,
            overlaps_not_judged: 0,
            violations: Vec::new(),
            staleness,
        }
    }

    /// How many violations of one rule were noted: a thousand at most.
    #[must_use]
    pub fn count(&self, rule: Rule) -> usize {
        self.violations
            .iter()
            .filter(|violation| violation.rule == rule)
            .count()
    }
}

/// The newest version that was settled (acknowledged, or visible for strict writes) by each moment.
struct Settled(Vec<(Moment, u64)>);

impl Settled {
    fn new(writes: &[Write], strict: bool) -> Self {
        let settled = |write: &Write| {
            if strict {
                Some(write.committed)
            } else {
                write.acknowledged
            }
        };
        let mut points: Vec<_> = writes
            .iter()
            .filter_map(|write| settled(write).map(|at| (at, write.version)))
            .collect();
        points.sort_unstable();
        let mut newest = 0;
        for point in &mut points {
            newest = newest.max(point.1);
            point.1 = newest;
        }
        Self(points)
    }

    /// The newest version settled at or before `moment`; 0 if none.
    fn by(&self, moment: Moment) -> u64 {
        let after = self.0.partition_point(|(at, _)| *at <= moment);
        after.checked_sub(1).map_or(0, |last| self.0[last].1)
    }

    /// When a version newer than `version` was first settled.
    fn first_newer(&self, version: u64) -> Option<Moment> {
        self.0
            .get(self.0.partition_point(|(_, newest)| *newest <= version))
            .map(|(at, _)| *at)
    }
}

/// How a lease came to its end before its load did.
enum Ended {
    /// An invalidation or a hold ended it.
    OnPurpose,
    /// It was lost, or may have been.
    ByLoss,
}

struct Checker<'a> {
    bounds: &'a Bounds,
    windows: &'a [Window],
    /// Violations of each rule.
    noted: BTreeMap<Rule, usize>,
    report: Report,
}

impl Checker<'_> {
    fn key(&mut self, key: u64, events: &mut Key) {
        self.report.reads += events.reads.len() as u64;
        self.report.writes += events.writes.len() as u64;
        self.report.loads += events.loads.len() as u64;
        self.report.taken += events.taken.len() as u64;
        self.report.grants += events.held.len() as u64;
        self.report.effects += events.effects.len() as u64;
        let settled = Settled::new(&events.writes, self.bounds.strict);
        let mut versions: Vec<u64> = events.writes.iter().map(|write| write.version).collect();
        versions.sort_unstable();
        for read in &events.reads {
            if read.version != 0 && versions.binary_search(&read.version).is_err() {
                self.note(Rule::C6, key, || {
                    format!("version {} was never written: {read:?}", read.version)
                });
            }
            self.freshness(key, read, &settled);
        }
        self.monotone(key, &mut events.reads);
        self.loads(key, &mut events.loads, &events.writes);
        self.locks(key, &mut events.held, &mut events.effects);
        if self.bounds.behind {
            for (rule, what) in behind::check(&events.writes, &mut events.taken) {
                self.note(rule, key, || what);
            }
        }
    }

    fn freshness(&mut self, key: u64, read: &Read, settled: &Settled) {
        if read.version >= settled.by(read.start) {
            self.overdue(key, read);
            return;
        }
        let since = settled
            .first_newer(read.version)
            .expect("a newer version was settled before this read");
        let staleness = read.start - since;
        self.report.staleness.saturating_record(staleness / 1_000);
        let (rule, bound) = match read.served {
            _ if self.in_rollback(read.start) => (Rule::C9, self.bounds.rollback),
            Served::Near => (Rule::C2, self.bounds.near),
            Served::Stale | Served::Fallback => (Rule::C4, Duration::ZERO),
            _ if self.bounds.strict => (Rule::C3, Duration::ZERO),
            _ => (Rule::C1, Duration::ZERO),
        };
        // `first_newer` gives the oldest write that was missed, so one comparison covers all of them.
        if !bound.is_zero() && u128::from(staleness) <= bound.as_nanos() {
            self.report.late_reads += 1;
        } else {
            self.report.stale_reads += 1;
            self.note(rule, key, || {
                format!("{staleness} ns after a newer write was settled: {read:?}")
            });
        }
    }

    fn overdue(&mut self, key: u64, read: &Read) {
        let late = u128::from(read.overdue);
        let allowed = match read.served {
            Served::Stale | Served::Fallback => self.bounds.grace.as_nanos(),
            _ => 0,
        };
        if late > allowed {
            self.note(Rule::C4, key, || {
                format!("{late} ns past its TTL, {allowed} allowed: {read:?}")
            });
        }
    }

    fn in_rollback(&self, moment: Moment) -> bool {
        self.windows.iter().any(|window| match *window {
            Window::Rollback { start, end } => (start..=end).contains(&moment),
            Window::LostLeases { .. } | Window::EndedLeases { .. } => false,
        })
    }

    /// C5: of two reads of one process, one after the other, the later is not older.
    fn monotone(&mut self, key: u64, reads: &mut [Read]) {
        reads.sort_unstable_by_key(|read| (read.process, read.start));
        for of_process in reads.chunk_by(|a, b| a.process == b.process) {
            // The newest version among reads that had ended by a moment: sorted by end, then swept along.
            let mut ended: Vec<&Read> = of_process.iter().collect();
            ended.sort_unstable_by_key(|read| read.end);
            let (mut next, mut newest) = (0, 0);
            for read in of_process {
                while next < ended.len() && ended[next].end < read.start {
                    newest = newest.max(ended[next].version);
                    next += 1;
                }
                if read.version < newest && !self.in_rollback(read.start) {
                    self.note(Rule::C5, key, || {
                        format!("version {newest} had been read before: {read:?}")
                    });
                }
            }
        }
    }

    /// C7: loads of one key do not overlap, unless the lease of the first was ended meanwhile. Which was granted first is
    /// not seen: a process may stand still between its grant and its load.
    fn loads(&mut self, key: u64, loads: &mut [Load], writes: &[Write]) {
        loads.sort_unstable_by_key(|load| load.start);
        let mut running: Option<Load> = None;
        for load in loads {
            if let Some(other) = running.filter(|other| load.start < other.end) {
                match self.lease_ended(other.asked.min(load.asked), load.start, writes) {
                    Some(Ended::OnPurpose) => {}
                    Some(Ended::ByLoss) => self.report.overlaps_not_judged += 1,
                    None => self.note(Rule::C7, key, || format!("{load:?} beside {other:?}")),
                }
            }
            running = Some(running.filter(|other| other.end > load.end).unwrap_or(*load));
        }
    }

    /// C10: a lock has one holder at a time, fences grow, and no effect comes after one under a higher fence.
    fn locks(&mut self, key: u64, held: &mut [Held], effects: &mut [Effect]) {
        let lost = |from, to| self.in_window(from, to, true);
        let (broken, not_judged) = locks::check(held, effects, lost);
        self.report.overlaps_not_judged += not_judged;
        for what in broken {
            self.note(Rule::C10, key, || what);
        }
    }

    /// What may have ended a lease between two moments, if anything. An invalidation takes effect at some moment between
    /// the commit and its acknowledgement.
    fn lease_ended(&self, from: Moment, to: Moment, writes: &[Write]) -> Option<Ended> {
        let by_write = |write: &Write| write.committed <= to && write.acknowledged.is_none_or(|at| at >= from);
        if writes.iter().any(by_write) || self.in_window(from, to, false) {
            Some(Ended::OnPurpose)
        } else {
            self.in_window(from, to, true).then_some(Ended::ByLoss)
        }
    }

    /// Whether leases were declared lost, or ended on purpose, at some moment between two.
    fn in_window(&self, from: Moment, to: Moment, is_loss: bool) -> bool {
        self.windows.iter().any(|window| match *window {
            Window::EndedLeases { start, end } => !is_loss && start <= to && end >= from,
            Window::LostLeases { start, end } | Window::Rollback { start, end } => {
                is_loss && start <= to && end >= from
            }
        })
    }

    fn note(&mut self, rule: Rule, key: u64, what: impl FnOnce() -> String) {
        let noted = self.noted.entry(rule).or_default();
        *noted += 1;
        if *noted <= VIOLATIONS_MAX {
            self.report.violations.push(Violation {
                rule,
                key,
                what: what(),
            });
        }
    }
}
