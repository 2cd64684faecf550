//! What was found, as text and as JSON.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
};

use larder_testkit::{history::Rule, verify::Outcome as Run};
use serde_json::{Map, Value, json};

use super::{member::Figures, setup::Setup};
use crate::{
    context::Context,
    failure::{Failure, Outcome},
    ui::count,
};

/// One cache's result.
pub(super) struct Verdict {
    name: &'static str,
    run: Run,
    figures: Figures,
}

impl Verdict {
    pub(super) fn new(name: &'static str, run: Run) -> Self {
        Self {
            name,
            run,
            figures: Figures::default(),
        }
    }

    /// Adds what Larder's caches counted themselves.
    pub(super) fn with(mut self, caches: impl Iterator<Item = Figures>) -> Self {
        self.figures = caches.fold(self.figures, Figures::and);
        self
    }

    fn is_clean(&self) -> bool {
        self.run.is_clean()
    }

    /// How often each rule was broken that was.
    fn broken(&self) -> BTreeMap<Rule, usize> {
        let mut broken = BTreeMap::new();
        for violation in &self.run.report.violations {
            *broken.entry(violation.rule).or_default() += 1;
        }
        if !self.run.at_rest.is_empty() {
            broken.insert(Rule::C8, self.run.at_rest.len());
        }
        broken
    }

    /// What was broken, by the first few examples of each rule.
    fn first_violations(&self) -> impl Iterator<Item = String> + '_ {
        self.broken().into_keys().flat_map(|rule| self.examples(rule))
    }

    fn examples(&self, rule: Rule) -> Vec<String> {
        /// More of them say nothing new.
        const SHOWN: usize = 3;
        let seen = self.run.report.violations.iter();
        let seen = seen
            .filter(|violation| violation.rule == rule)
            .map(|violation| format!("{rule} on key {}: {}", violation.key, violation.what));
        let at_rest = self.run.at_rest.iter().filter(|_| rule == Rule::C8).map(|mismatch| {
            let (copy, source) = (&mismatch.copy, mismatch.source.unwrap_or(0));
            format!(
                "{rule} on key {}: {} holds {}, the source has {source}",
                copy.key, copy.tier, copy.version
            )
        });
        seen.chain(at_rest).take(SHOWN).collect()
    }

    fn why_leases_were_lost(&self) -> String {
        let faults = count(self.run.faults, "fault made", "faults made");
        let faults = (self.run.faults > 0).then_some(faults);
        let losses = self.run.losses.any().then(|| self.run.losses.to_string());
        [faults, losses].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    fn json(&self) -> Value {
        let (report, losses) = (&self.run.report, &self.run.losses);
        json!({
            "reads": report.reads,
            "near_hits": self.figures.near_hits,
            "stale_reads": report.stale_reads,
            "late_reads": report.late_reads,
            "violations": report.violations.len(),
            "broken": self.broken().iter().map(|(rule, count)| (format!("{rule:?}"), json!(count))).collect::<Map<_, _>>(),
            "first_violations": self.first_violations().collect::<Vec<_>>(),
            "loads": report.loads,
            "fills_rejected": self.figures.fills_rejected,
            "writes": report.writes,
            "taken": report.taken,
            "lost_writes": self.run.lost_writes,
            "not_placed": self.run.unplaced,
            "overlaps_not_judged": report.overlaps_not_judged,
            "leases_lost": {
                "restarts": losses.restarts,
                "evicted_keys": losses.evicted_keys,
                "out_of_memory": losses.out_of_memory,
                "flushes": losses.flushes,
                "silences": losses.silences,
                "unleased": losses.unleased,
            },
            "pending": self.run.pending,
            "unanswered": self.run.unanswered,
            "faults_made": self.run.faults,
            "wrong_at_rest": self.run.at_rest.len(),
            "staleness_us_p50": report.staleness.value_at_quantile(0.5),
            "staleness_us_max": report.staleness.max(),
            "is_clean": self.is_clean(),
        })
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.run.report;
        writeln!(f, "\n{}", self.name)?;
        writeln!(f, "    reads           {}", report.reads)?;
        if self.figures.near_hits > 0 {
            writeln!(f, "    near hits       {}", self.figures.near_hits)?;
        }
        writeln!(f, "    stale reads     {}", report.stale_reads)?;
        if report.late_reads > 0 {
            writeln!(
                f,
                "    late reads      {} (stale within the near tier's bound)",
                report.late_reads
            )?;
        }
        if report.stale_reads + report.late_reads > 0 {
            let (p50, max) = (report.staleness.value_at_quantile(0.5), report.staleness.max());
            writeln!(f, "    stale for       {p50} µs p50, {max} µs at most")?;
        }
        writeln!(f, "    wrong at rest   {}", self.run.at_rest.len())?;
        writeln!(f, "    loads           {}", report.loads)?;
        writeln!(f, "    fills refused   {}", self.figures.fills_rejected)?;
        writeln!(f, "    writes          {}", report.writes)?;
        if report.taken > 0 {
            writeln!(f, "    source took     {}", report.taken)?;
        }
        writeln!(f, "    lost writes     {}", self.run.lost_writes)?;
        writeln!(f, "    faults made     {}", self.run.faults)?;
        if report.overlaps_not_judged > 0 {
            let overlaps = count(report.overlaps_not_judged, "load", "loads");
            let why = self.why_leases_were_lost();
            writeln!(
                f,
                "    not judged      {overlaps} beside another, around lost leases: {why}"
            )?;
        }
        if self.run.unplaced > 0 {
            let reads = count(self.run.unplaced, "read", "reads");
            writeln!(
                f,
                "    not judged      {reads} of writes of which nobody knows what became"
            )?;
        }
        let kept = if self.is_clean() {
            "every promise held"
        } else {
            "promises were broken"
        };
        write!(f, "  => {kept}")?;
        for (rule, times) in self.broken() {
            write!(f, "\n     {rule}: {}", count(times as u64, "time", "times"))?;
        }
        for violation in self.first_violations() {
            write!(f, "\n     {violation}")?;
        }
        if !self.is_clean() {
            write!(f, "\n     what each rule means and what to do: docs/guide/verify.md")?;
        }
        Ok(())
    }
}

/// Prints the document, and fails if a promise was broken.
pub(super) fn finish(context: &Context, verdicts: &[Verdict], setup: &Setup<'_>) -> Outcome {
    let mut document = setup.json();
    for verdict in verdicts {
        document[verdict.name] = verdict.json();
    }
    context.ui.document(&document);
    let broken: Vec<&str> = verdicts
        .iter()
        .filter(|verdict| !verdict.is_clean())
        .map(|verdict| verdict.name)
        .collect();
    if broken.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format_args!(
        "promises were broken by {}; seed {}",
        broken.join(", "),
        setup.seed
    ))
    .told_in_json())
}
