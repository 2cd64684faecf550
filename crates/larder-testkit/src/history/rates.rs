//! C13: rate limits. What was admitted never exceeds the limit's formula, and what the formula has room for is never denied.
//!
//! Calls are told with the server's clock, which the limiter gives with its answer. Several at one microsecond came in an
//! order that nobody knows: a limit is exceeded if it is after all of them, and a denial is right if it is after all of them.

use std::collections::BTreeMap;

use super::check::{Rule, Violation};

/// A call that asked a limiter, and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Whose call it was.
    pub subject: u64,
    /// The server's clock when it decided, in µs.
    pub at: u64,
    /// What it cost.
    pub cost: u64,
    /// Whether it was admitted.
    pub admitted: bool,
}

/// What a limit promises for each subject. Times are in µs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the lines above them say what the numbers are")]
pub enum Formula {
    /// In every closed interval of length w at most burst + ⌊w / interval⌋.
    Gcra { interval: u64, burst: u64 },
    /// At most limit in each aligned window.
    Fixed { limit: u64, window: u64 },
    /// The window before, weighted by the share of it that is less than a window ago, and the current one: at most limit.
    Counter { limit: u64, window: u64 },
    /// At most limit in every (t − window, t].
    Log { limit: u64, window: u64 },
}

/// The outcome of a check of C13.
#[derive(Clone, Debug, Default)]
pub struct RateReport {
    /// Calls admitted.
    pub admitted: u64,
    /// Calls denied.
    pub denied: u64,
    /// What is broken, a thousand at most.
    pub violations: Vec<Violation>,
}

/// More violations than this say nothing new.
const VIOLATIONS_MAX: usize = 1_000;

/// Judges the calls of every subject, in any order, by what the limit promises.
#[must_use]
pub fn check_rates(calls: &[Call], formula: Formula) -> RateReport {
    let mut subjects: BTreeMap<u64, Vec<Call>> = BTreeMap::new();
    for call in calls {
        subjects.entry(call.subject).or_default().push(*call);
    }
    let mut report = RateReport::default();
    for calls in subjects.values_mut() {
        calls.sort_unstable_by_key(|call| call.at);
        let mut usage = formula.usage();
        for together in calls.chunk_by(|one, other| one.at == other.at) {
            report.judge(together, &mut *usage);
        }
    }
    report
}

impl RateReport {
    /// All calls of one subject at one moment.
    fn judge(&mut self, together: &[Call], usage: &mut dyn Usage) {
        let admitted = together.iter().filter(|call| call.admitted);
        self.admitted += admitted.clone().count() as u64;
        let sum: u64 = admitted.map(|call| call.cost).sum();
        let (subject, at) = (together[0].subject, together[0].at);
        usage.admit(at, sum);
        if sum > 0 && usage.exceeds(at, 0) == Some(true) {
            self.note(subject, || format!("{sum} at {at} are more than there was room for"));
        }
        for denied in together.iter().filter(|call| !call.admitted) {
            self.denied += 1;
            if usage.exceeds(at, denied.cost) == Some(false) {
                self.note(subject, || format!("there was room for {denied:?}"));
            }
        }
    }

    fn note(&mut self, key: u64, what: impl FnOnce() -> String) {
        if self.violations.len() < VIOLATIONS_MAX {
            let (rule, what) = (Rule::C13, what());
            self.violations.push(Violation { rule, key, what });
        }
    }
}

impl Formula {
    fn usage(self) -> Box<dyn Usage> {
        match self {
            Self::Gcra { interval, burst } => Box::new(Gcra {
                interval: i128::from(interval),
                burst: i128::from(burst),
                sum: 0,
                lowest: i128::MAX,
            }),
            Self::Fixed { limit, window } => Box::new(Windows::new(limit, window, false)),
            Self::Counter { limit, window } => Box::new(Windows::new(limit, window, true)),
            Self::Log { limit, window } => Box::new(Log {
                limit,
                window,
                sum: 0,
                recent: std::collections::VecDeque::new(),
            }),
        }
    }
}

/// What was admitted to a subject so far, as its formula sees it.
trait Usage {
    /// `sum` more was admitted at `at`, which never goes back; 0 if nothing was.
    fn admit(&mut self, at: u64, sum: u64);

    /// Whether the formula is exceeded at `at` by what was admitted and `more`; `None` where it is too close to tell.
    fn exceeds(&self, at: u64, more: u64) -> Option<bool>;
}

/// The formula itself, over all intervals: S(j) − S(i−1) ≤ burst + ⌊(tⱼ − tᵢ) / interval⌋ for all i ≤ j, where S is the sum up
/// to an admission. As S·interval − t it takes one pass.
struct Gcra {
    interval: i128,
    burst: i128,
    sum: i128,
    /// The least S(i−1)·interval − tᵢ.
    lowest: i128,
}

impl Usage for Gcra {
    fn admit(&mut self, at: u64, sum: u64) {
        self.lowest = self.lowest.min(self.sum * self.interval - i128::from(at));
        self.sum += i128::from(sum);
    }

    fn exceeds(&self, at: u64, more: u64) -> Option<bool> {
        let now = (self.sum + i128::from(more)) * self.interval - i128::from(at);
        Some(now - self.lowest > self.burst * self.interval)
    }
}

/// Aligned windows, of which the one before counts in part or not at all.
struct Windows {
    limit: u64,
    window: u64,
    weighted: bool,
    index: u64,
    before: u64,
    current: u64,
}

impl Windows {
    const fn new(limit: u64, window: u64, weighted: bool) -> Self {
        Self {
            limit,
            window,
            weighted,
            index: 0,
            before: 0,
            current: 0,
        }
    }
}

/// The counter is an f64 on the server: a millionth of a permit is nothing.
const TOO_CLOSE: i128 = 1_000_000;

impl Usage for Windows {
    fn admit(&mut self, at: u64, sum: u64) {
        let index = at / self.window;
        if index != self.index {
            self.before = if index == self.index + 1 { self.current } else { 0 };
            (self.index, self.current) = (index, 0);
        }
        self.current += sum;
    }

    fn exceeds(&self, at: u64, more: u64) -> Option<bool> {
        let (window, left) = (i128::from(self.window), i128::from(self.window - at % self.window));
        let before = if self.weighted {
            i128::from(self.before) * left
        } else {
            0
        };
        let over = before + (i128::from(self.current + more) - i128::from(self.limit)) * window;
        let is_close = self.weighted && over.abs() * TOO_CLOSE <= window;
        (!is_close).then_some(over > 0)
    }
}

/// Every admission of the last window.
struct Log {
    limit: u64,
    window: u64,
    sum: u64,
    recent: std::collections::VecDeque<(u64, u64)>,
}

impl Usage for Log {
    fn admit(&mut self, at: u64, sum: u64) {
        while let Some((then, cost)) = self
            .recent
            .front()
            .copied()
            .filter(|(then, _)| then + self.window <= at)
        {
            debug_assert!(then <= at);
            self.sum -= cost;
            self.recent.pop_front();
        }
        self.recent.push_back((at, sum));
        self.sum += sum;
    }

    fn exceeds(&self, _: u64, more: u64) -> Option<bool> {
        Some(self.sum + more > self.limit)
    }
}

/// Somebody's time under a limit on how many may be in at once, by the clock that all processes of a machine share, in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stay {
    /// Whose limit it is.
    pub subject: u64,
    /// When it was asked for.
    pub asked: u64,
    /// When the answer was there.
    pub answered: u64,
    /// When it was given up, and when that was acknowledged; `None` for one that was refused.
    pub given_up: Option<(u64, u64)>,
}

/// Judges a limit on how many may be in at once: never more than `limit` surely are, and nobody is refused while fewer than
/// that can be.
#[must_use]
pub fn check_stays(stays: &[Stay], limit: u64) -> RateReport {
    let mut report = RateReport::default();
    let mut subjects: BTreeMap<u64, Vec<Stay>> = BTreeMap::new();
    for stay in stays {
        subjects.entry(stay.subject).or_default().push(*stay);
    }
    for (subject, stays) in subjects {
        let admitted = || {
            stays
                .iter()
                .filter_map(|stay| stay.given_up.map(|given_up| (stay, given_up)))
        };
        // Surely in from the answer to the request to leave, possibly from the request to the acknowledgement.
        let surely = in_at(admitted().map(|(stay, (leaving, _))| (stay.answered, leaving)));
        let possibly = in_at(admitted().map(|(stay, (_, left))| (stay.asked, left + 1)));
        report.admitted += admitted().count() as u64;
        for (at, count) in surely.iter().filter(|(_, count)| *count > limit) {
            report.note(subject, || format!("{count} were in at {at}"));
        }
        for refused in stays.iter().filter(|stay| stay.given_up.is_none()) {
            report.denied += 1;
            let begin = possibly
                .partition_point(|(at, _)| *at <= refused.asked)
                .saturating_sub(1);
            let meanwhile = possibly[begin..].iter().take_while(|(at, _)| *at <= refused.answered);
            if meanwhile.map(|(_, count)| *count).max().unwrap_or(0) < limit {
                report.note(subject, || format!("there was room for {refused:?}"));
            }
        }
    }
    report
}

/// How many are in from each moment on at which that changes.
fn in_at(spans: impl Iterator<Item = (u64, u64)>) -> Vec<(u64, u64)> {
    let mut changes: BTreeMap<u64, i64> = BTreeMap::new();
    for (begin, end) in spans.filter(|(begin, end)| begin < end) {
        *changes.entry(begin).or_default() += 1;
        *changes.entry(end).or_default() -= 1;
    }
    let mut count = 0;
    let step = |(at, change)| {
        count += change;
        (at, u64::try_from(count).expect("who leaves came before"))
    };
    changes.into_iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use larder_base::Random;

    use super::*;

    const FORMULAS: [Formula; 4] = [
        Formula::Gcra {
            interval: 700,
            burst: 6,
        },
        Formula::Fixed {
            limit: 7,
            window: 5_000,
        },
        Formula::Counter {
            limit: 7,
            window: 5_000,
        },
        Formula::Log {
            limit: 7,
            window: 5_000,
        },
    ];

    /// Three subjects who call at random, often at the same moment, and are admitted as long as the formula says so: told from
    /// all that was admitted, without any of what the checker keeps.
    fn correct(random: &Random, formula: Formula) -> Vec<Call> {
        let mut calls = Vec::new();
        for subject in 0..3 {
            let mut at = 1_000_000 + random.below(5_000);
            let mut admitted: Vec<(u64, u64)> = Vec::new();
            for _ in 0..200 {
                at += [0, 0, 1, random.below(300), random.below(1_500)][random.below(5) as usize];
                let cost = 1 + random.below(3);
                admitted.push((at, cost));
                let is_admitted = holds(formula, &admitted);
                if !is_admitted {
                    admitted.pop();
                }
                calls.push(Call {
                    subject,
                    at,
                    cost,
                    admitted: is_admitted,
                });
            }
        }
        // Processes hand in their records one after another.
        calls.sort_by_key(|call| (call.cost, call.subject));
        calls
    }

    /// Whether the formula holds of a whole log, counted as it is written down.
    fn holds(formula: Formula, admitted: &[(u64, u64)]) -> bool {
        let sum = |from: u64, to: u64| -> u64 {
            let within = admitted.iter().filter(|(at, _)| (from..=to).contains(at));
            within.map(|(_, cost)| cost).sum()
        };
        let now = admitted.last().expect("a call was just added").0;
        match formula {
            Formula::Gcra { interval, burst } => admitted
                .iter()
                .all(|(from, _)| sum(*from, now) <= burst + (now - from) / interval),
            Formula::Fixed { limit, window } => sum(now - now % window, now) <= limit,
            Formula::Counter { limit, window } => {
                let start = now - now % window;
                let before = sum(start - window, start - 1) as f64;
                before * (1.0 - (now - start) as f64 / window as f64) + sum(start, now) as f64 <= limit as f64
            }
            Formula::Log { limit, window } => sum(now + 1 - window, now) <= limit,
        }
    }

    /// Turns one answer of a correct log round, a hundred times; it must be found every time.
    fn is_found(admitted: bool) {
        for formula in FORMULAS {
            for seed in 0..100 {
                let random = Random::seeded(seed);
                let mut calls = correct(&random, formula);
                let clean = check_rates(&calls, formula);
                assert_eq!(clean.violations, [], "{formula:?}, seed {seed}");
                assert!(clean.admitted > 50 && clean.denied > 50, "{clean:?}");
                let of_this: Vec<usize> = (0..calls.len()).filter(|at| calls[*at].admitted == admitted).collect();
                let at = of_this[random.below(of_this.len() as u64) as usize];
                calls[at].admitted = !admitted;
                let found = check_rates(&calls, formula).violations;
                assert!(
                    !found.is_empty(),
                    "{formula:?}, seed {seed}: {:?} was not found",
                    calls[at]
                );
            }
        }
    }

    #[test]
    fn c13_an_admission_beyond_the_formula_is_found() {
        is_found(false);
    }

    #[test]
    fn c13_a_denial_where_there_was_room_is_found() {
        is_found(true);
    }

    /// Five who come and go, at most three in at once; one that finds three is refused.
    fn stays(random: &Random) -> Vec<Stay> {
        let (mut stays, mut now): (Vec<Stay>, u64) = (Vec::new(), 1_000);
        for _ in 0..200 {
            now += 10 + random.below(50);
            let (asked, answered) = (now, now + 1 + random.below(9));
            let is_in = |stay: &&Stay| stay.given_up.is_some_and(|(_, left)| left >= asked);
            let leaving = answered + random.below(200);
            let has_room = stays.iter().filter(is_in).count() < 3;
            stays.push(Stay {
                subject: 1,
                asked,
                answered,
                given_up: has_room.then(|| (leaving, leaving + 1 + random.below(9))),
            });
        }
        stays
    }

    #[test]
    fn c13_too_many_at_once_and_a_needless_refusal_are_found() {
        for seed in 0..100 {
            let random = Random::seeded(seed);
            let stays = stays(&random);
            let clean = check_stays(&stays, 3);
            assert_eq!(clean.violations, [], "seed {seed}");
            assert!(clean.denied > 5 && clean.admitted > 50, "{clean:?}");
            // One more beside three.
            let crowded = stays
                .iter()
                .find(|stay| stay.given_up.is_none())
                .expect("some are refused");
            let mut broken = stays.clone();
            let everybody = (0..4).map(|_| Stay {
                given_up: Some((crowded.answered + 5, crowded.answered + 6)),
                ..*crowded
            });
            broken.extend(everybody);
            assert!(!check_stays(&broken, 3).violations.is_empty(), "seed {seed}");
            // A refusal while nobody is in.
            let mut broken = stays;
            broken.push(Stay {
                subject: 1,
                asked: 1,
                answered: 2,
                given_up: None,
            });
            assert_eq!(check_stays(&broken, 3).violations.len(), 1, "seed {seed}");
        }
    }
}
