//! Subjects taking turns, and the middle of their rounds.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::figure::Figure;

/// What one round of one subject cost.
pub(crate) struct Round {
    pub(crate) operations: u64,
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
    pub(crate) allocations: Option<u64>,
    /// Nanoseconds of each operation, where single ones were timed.
    pub(crate) latencies: Option<Histogram<u64>>,
}

impl Round {
    /// Each of the operations was one on so many keys; latencies stay those of the whole.
    pub(crate) const fn of_many(mut self, keys: u64) -> Self {
        self.operations *= keys;
        self
    }

    fn cpu_ns(&self) -> f64 {
        self.cpu.as_nanos() as f64 / self.operations.max(1) as f64
    }
}

/// A histogram of nanoseconds up to a minute, to one part in a hundred.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 2).expect("the bounds are in order")
}

/// The rounds of one case, by subject.
pub(crate) struct Tournament {
    case: String,
    subjects: Vec<(String, Vec<Round>)>,
}

impl Tournament {
    pub(crate) fn new(case: impl Into<String>) -> Self {
        Self {
            case: case.into(),
            subjects: Vec::new(),
        }
    }

    /// Adds a round of a subject; the first subject that ever comes is the yardstick.
    pub(crate) fn add(&mut self, subject: &str, round: Round) {
        match self.subjects.iter_mut().find(|(name, _)| name == subject) {
            Some((_, rounds)) => rounds.push(round),
            None => self.subjects.push((subject.to_owned(), vec![round])),
        }
    }

    /// A figure for each subject: its middle round by CPU time, latencies over all of its rounds.
    pub(crate) fn figures(self) -> Vec<Figure> {
        let mut figures: Vec<Figure> = Vec::new();
        for (subject, mut rounds) in self.subjects {
            rounds.sort_by(|a, b| a.cpu_ns().total_cmp(&b.cpu_ns()));
            let latencies = merged(&rounds);
            let middle = &rounds[rounds.len() / 2];
            let at = |quantile: f64| {
                latencies
                    .as_ref()
                    .map(|all| all.value_at_quantile(quantile) as f64 / 1e3)
            };
            let operations = middle.operations.max(1) as f64;
            let yardstick = figures.first().map_or_else(|| middle.cpu_ns(), |first| first.cpu_ns);
            figures.push(Figure {
                case: self.case.clone(),
                subject,
                operations: middle.operations,
                cpu_ns: middle.cpu_ns(),
                per_second: operations / middle.wall.as_secs_f64(),
                p50_us: at(0.5),
                p99_us: at(0.99),
                allocations: middle.allocations.map(|n| n as f64 / operations),
                ratio: middle.cpu_ns() / yardstick,
            });
        }
        figures
    }
}

fn merged(rounds: &[Round]) -> Option<Histogram<u64>> {
    let mut all = histogram();
    for latencies in rounds.iter().filter_map(|round| round.latencies.as_ref()) {
        all.add(latencies).expect("all histograms have the same bounds");
    }
    (!all.is_empty()).then_some(all)
}
