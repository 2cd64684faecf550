//! What was found, as text and as JSON.

use std::fmt::{self, Display};

use larder_cache::Cache;
use larder_testkit::verify::Outcome as Run;
use serde_json::{Value, json};

use super::setup::Setup;
use crate::{
    context::Context,
    failure::{Failure, Outcome},
};

/// One cache's result.
pub(super) struct Verdict {
    name: &'static str,
    run: Run,
    fills_rejected: u64,
    near_hits: u64,
}

impl Verdict {
    pub(super) const fn new(name: &'static str, run: Run) -> Self {
        Self {
            name,
            run,
            fills_rejected: 0,
            near_hits: 0,
        }
    }

    /// Adds what Larder's caches counted themselves.
    pub(super) fn with(mut self, caches: &[Cache<u64, u64>]) -> Self {
        for cache in caches {
            let stats = cache.stats();
            self.fills_rejected += stats.fills_rejected();
            self.near_hits += stats.near_hits;
        }
        self
    }

    fn is_clean(&self) -> bool {
        self.run.is_clean()
    }

    /// What was broken, by the first few examples.
    fn first_violations(&self) -> impl Iterator<Item = String> + '_ {
        /// More of them say nothing new.
        const SHOWN: usize = 3;
        let violations = self.run.report.violations.iter();
        violations
            .take(SHOWN)
            .map(|violation| format!("{:?} on key {}: {}", violation.rule, violation.key, violation.what))
    }

    fn json(&self) -> Value {
        let report = &self.run.report;
        json!({
            "reads": report.reads,
            "near_hits": self.near_hits,
            "stale_reads": report.stale_reads,
            "late_reads": report.late_reads,
            "violations": report.violations.len(),
            "first_violations": self.first_violations().collect::<Vec<_>>(),
            "loads": report.loads,
            "fills_rejected": self.fills_rejected,
            "writes": report.writes,
            // Nothing here writes through the cache: a write is the source's own.
            "lost_writes": 0,
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
        if self.near_hits > 0 {
            writeln!(f, "    near hits       {}", self.near_hits)?;
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
        writeln!(f, "    fills rejected  {}", self.fills_rejected)?;
        writeln!(f, "    writes          {}", report.writes)?;
        writeln!(f, "    faults made     {}", self.run.faults)?;
        let kept = if self.is_clean() {
            "every promise held"
        } else {
            "promises were broken"
        };
        write!(f, "  => {kept}")?;
        for violation in self.first_violations() {
            write!(f, "\n     {violation}")?;
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
