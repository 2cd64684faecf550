//! Playing one row of the matrix.

use std::ops::AddAssign;

use larder_base::Random;
use larder_testkit::{Case, Kind, Topology};
use serde::{Deserialize, Serialize};

/// The variable that keeps a run to one of the players.
const BASELINE_VARIABLE: &str = "LARDER_BASELINE";

/// How often the code written by hand may get away with it: a race is won by chance.
const ATTEMPTS: u64 = 3;

/// Who plays a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Baseline {
    /// Plain get, load, set; delete on a write.
    Naive,
    /// The same with a lock round the load.
    Lock,
    /// Larder, which must come out clean.
    Larder,
}

impl Baseline {
    const fn name(self) -> &'static str {
        match self {
            Self::Naive => "naive",
            Self::Lock => "lock",
            Self::Larder => "larder",
        }
    }

    fn is_chosen(self) -> bool {
        std::env::var(BASELINE_VARIABLE).map_or(true, |name| name == "all" || name == self.name())
    }
}

/// One time a scenario is played.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) baseline: Baseline,
    pub(crate) kind: Kind,
    pub(crate) random: Random,
}

impl Turn {
    /// A fresh store of this turn's kind.
    pub(crate) async fn topology(&self) -> Topology {
        Topology::start(self.kind).await
    }

    /// Whether Larder plays.
    pub(crate) fn is_larder(&self) -> bool {
        self.baseline == Baseline::Larder
    }
}

/// What came of a turn.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// What was looked at: a scenario that looks at nothing proves nothing.
    pub(crate) checked: u64,
    /// Promises broken, for a person.
    pub(crate) violations: Vec<String>,
}

impl Verdict {
    /// Looks at one thing more; `what` says what is wrong if it does not hold.
    pub(crate) fn expect(&mut self, holds: bool, what: impl Into<String>) {
        self.checked += 1;
        if !holds {
            self.violations.push(what.into());
        }
    }
}

impl AddAssign for Verdict {
    fn add_assign(&mut self, other: Self) {
        self.checked += other.checked;
        self.violations.extend(other.violations);
    }
}

/// Plays `scenario` on each kind of store, with Larder and with each of `against`.
///
/// A scenario that needs servers of its own, to kill them for instance, takes one kind and starts them itself.
pub(crate) fn row(number: u32, against: &[Baseline], kinds: &[Kind], scenario: impl AsyncFn(Turn) -> Verdict) {
    let chosen = Kind::chosen();
    for kind in kinds.iter().copied().filter(|kind| chosen.contains(kind)) {
        for baseline in against.iter().copied().filter(|baseline| baseline.is_chosen()) {
            let convicted = Case::each(ATTEMPTS, 1).any(|case| {
                let verdict = play(number, baseline, kind, &case, &scenario);
                !verdict.violations.is_empty()
            });
            assert!(
                convicted,
                "fault {number} on {kind}: {baseline:?} came out clean, so that the scenario shows nothing"
            );
        }
        if Baseline::Larder.is_chosen() {
            let case = Case::each(1, 1).next().expect("one case was asked for");
            let verdict = play(number, Baseline::Larder, kind, &case, &scenario);
            assert!(verdict.checked > 0, "fault {number} on {kind}: nothing was looked at");
            assert!(
                verdict.violations.is_empty(),
                "fault {number} on {kind}: {:#?}",
                verdict.violations
            );
        }
    }
}

fn play(number: u32, baseline: Baseline, kind: Kind, case: &Case, scenario: &impl AsyncFn(Turn) -> Verdict) -> Verdict {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let turn = Turn {
        baseline,
        kind,
        random: case.random(),
    };
    let verdict = runtime.expect("a runtime can be built").block_on(scenario(turn));
    println!(
        "fault {number:02} on {kind}: {} broke {} of {} promises looked at",
        baseline.name(),
        verdict.violations.len(),
        verdict.checked
    );
    for violation in verdict.violations.iter().take(3) {
        println!("    {violation}");
    }
    verdict
}
