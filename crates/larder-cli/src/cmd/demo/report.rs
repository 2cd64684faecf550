//! What a scene found out: figures, claims that held or broke, and the lesson.

use std::{fmt::Display, time::Duration};

use serde_json::{Map, Value, json};

use crate::ui::Ui;

/// The findings of one scene, collected while it runs.
#[derive(Debug, Default)]
pub(super) struct Report {
    figures: Vec<Figure>,
    notes: Vec<String>,
    broken: Vec<String>,
    lesson: String,
}

#[derive(Debug)]
struct Figure {
    label: String,
    shown: String,
    value: Value,
}

impl Report {
    /// Adds a number of things.
    pub(super) fn count(&mut self, label: &str, count: u64) {
        self.figure(label, grouped(count), json!(count));
    }

    /// Adds a span, printed in a fitting unit and kept in microseconds.
    pub(super) fn span(&mut self, label: &str, span: Duration) {
        let micros = span.as_nanos() as f64 / 1_000.0;
        self.figure(&format!("{label}_us"), shown(span), json!(micros));
    }

    /// Adds the median and the 99th percentile of `spans`; nothing if there are none.
    pub(super) fn percentiles(&mut self, label: &str, spans: &mut [Duration]) {
        spans.sort_unstable();
        let (Some(p50), Some(p99)) = (percentile(spans, 50), percentile(spans, 99)) else {
            return;
        };
        self.span(&format!("{label}_p50"), p50);
        self.span(&format!("{label}_p99"), p99);
    }

    /// Adds a text.
    pub(super) fn text(&mut self, label: &str, text: impl Display) {
        let text = text.to_string();
        self.figure(label, text.clone(), json!(text));
    }

    /// Adds a yes or no.
    pub(super) fn flag(&mut self, label: &str, is_so: bool) {
        self.figure(label, if is_so { "yes" } else { "no" }.to_owned(), json!(is_so));
    }

    fn figure(&mut self, label: &str, shown: String, value: Value) {
        self.figures.push(Figure {
            label: label.to_owned(),
            shown,
            value,
        });
    }

    /// Says something beside the figures.
    pub(super) fn note(&mut self, note: impl Display) {
        self.notes.push(note.to_string());
    }

    /// Checks a promise of the scene: the demo exits 1 if one is broken.
    pub(super) fn claim(&mut self, holds: bool, claim: impl Display) {
        if !holds {
            self.broken.push(claim.to_string());
        }
    }

    /// What to take home, in one line.
    pub(super) fn lesson(&mut self, lesson: impl Display) {
        self.lesson = lesson.to_string();
    }

    /// The promises that were broken.
    pub(super) fn broken(&self) -> &[String] {
        &self.broken
    }

    /// Prints the findings as text.
    pub(super) fn print(&self, ui: &Ui) {
        let label = |figure: &Figure| figure.label.trim_end_matches("_us").replace('_', " ");
        let width = self
            .figures
            .iter()
            .map(|figure| label(figure).chars().count())
            .max()
            .unwrap_or(0);
        for figure in &self.figures {
            ui.line(format_args!("    {:width$}  {}", label(figure), figure.shown));
        }
        for note in &self.notes {
            ui.line(format_args!("    note: {note}"));
        }
        for broken in &self.broken {
            ui.line(format_args!("    BROKEN: {broken}"));
        }
        ui.line(format_args!("  => {}", self.lesson));
    }

    /// The findings as JSON.
    pub(super) fn json(&self, name: &str) -> Value {
        let figures: Map<String, Value> = self
            .figures
            .iter()
            .map(|figure| (figure.label.clone(), figure.value.clone()))
            .collect();
        json!({
            "scene": name,
            "ok": self.broken.is_empty(),
            "figures": figures,
            "notes": self.notes,
            "broken": self.broken,
            "lesson": self.lesson,
        })
    }
}

/// The value below which `percent` of the sorted `spans` lie.
fn percentile(spans: &[Duration], percent: usize) -> Option<Duration> {
    let last = spans.len().checked_sub(1)?;
    spans.get((spans.len() * percent / 100).min(last)).copied()
}

/// A span in the unit that needs few digits.
pub(super) fn shown(span: Duration) -> String {
    let nanos = span.as_nanos() as f64;
    match span.as_nanos() {
        0..1_000 => format!("{nanos:.0} ns"),
        1_000..1_000_000 => format!("{:.1} µs", nanos / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", nanos / 1e6),
        _ => format!("{:.2} s", nanos / 1e9),
    }
}

fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shown_for_people_and_kept_for_programs() {
        let mut report = Report::default();
        report.span("load", Duration::from_micros(1_500));
        report.count("reads", 1_234_567);
        assert_eq!(report.figures[0].shown, "1.5 ms");
        assert_eq!(report.figures[1].shown, "1,234,567");
        let json = report.json("cold");
        assert_eq!(json["figures"], json!({"load_us": 1500.0, "reads": 1_234_567}));
        assert_eq!(json["ok"], json!(true));
    }

    #[test]
    fn a_broken_claim_is_kept() {
        let mut report = Report::default();
        report.claim(true, "holds");
        report.claim(false, "one load");
        assert_eq!(report.broken(), ["one load"]);
        assert_eq!(report.json("x")["ok"], json!(false));
    }

    #[test]
    fn percentiles_of_few_values_are_values() {
        let spans: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&spans, 50), Some(Duration::from_millis(51)));
        assert_eq!(percentile(&spans, 99), Some(Duration::from_millis(100)));
        assert_eq!(percentile(&[], 50), None);
    }
}
