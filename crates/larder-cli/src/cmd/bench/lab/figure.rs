//! A measured figure, and how figures are printed.

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

/// What one subject did in one case.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    /// What was measured: `near hit, u64, 1 thread`.
    pub(crate) case: String,
    /// Who did it.
    pub(crate) subject: String,
    /// Operations a round.
    pub(crate) operations: u64,
    /// CPU time an operation, all threads of this process together.
    pub(crate) cpu_ns: f64,
    /// Operations a second by the clock on the wall.
    pub(crate) per_second: f64,
    /// Half of the operations took no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p50_us: Option<f64>,
    /// 99 of 100 took no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p99_us: Option<f64>,
    /// Allocations an operation, where they were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) allocations: Option<f64>,
    /// CPU time as a multiple of the case's yardstick, its first subject.
    pub(crate) ratio: f64,
}

/// The figures of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: String,
    pub(crate) figures: Vec<Figure>,
}

impl Report {
    /// As a table to read.
    pub(crate) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header(["case", "subject", "CPU/op", "ratio", "ops/s", "p50", "p99", "alloc/op"]);
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let mut case = "";
        for figure in &self.figures {
            let shown = if figure.case == case { "" } else { &figure.case };
            case = &figure.case;
            table.add_row([
                shown.to_owned(),
                figure.subject.clone(),
                span(figure.cpu_ns),
                format!("{:.2}", figure.ratio),
                rate(figure.per_second),
                figure.p50_us.map_or_else(String::new, |us| span(us * 1e3)),
                figure.p99_us.map_or_else(String::new, |us| span(us * 1e3)),
                figure.allocations.map_or_else(String::new, |n| format!("{n:.2}")),
            ]);
        }
        format!("{}\n{table}", self.machine)
    }
}

/// Nanoseconds in the unit that reads best.
fn span(ns: f64) -> String {
    match ns {
        0.0..1e3 => format!("{ns:.1} ns"),
        1e3..1e6 => format!("{:.2} µs", ns / 1e3),
        _ => format!("{:.2} ms", ns / 1e6),
    }
}

fn rate(per_second: f64) -> String {
    match per_second {
        0.0..1e3 => format!("{per_second:.0}"),
        1e3..1e6 => format!("{:.1} k", per_second / 1e3),
        _ => format!("{:.2} M", per_second / 1e6),
    }
}
