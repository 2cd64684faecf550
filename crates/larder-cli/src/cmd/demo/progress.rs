//! How far loading has come: a bar for people, lines for everything else.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::ui::Ui;

/// Off a terminal a line is printed whenever another tenth is done: a log stays short at any number of records.
const STEPS: u64 = 10;

/// The progress of loading `total` records.
pub(super) struct Progress {
    ui: Ui,
    total: u64,
    done: u64,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(super) fn new(ui: &Ui, total: u64) -> Self {
        let style = ProgressStyle::with_template("Progress: {percent:>3}% [{bar:40}] {pos}/{len} records")
            .expect("the template is a constant")
            .progress_chars("#-.");
        let bar = ui.is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            bar.with_style(style)
        });
        Self {
            ui: ui.clone(),
            total,
            done: 0,
            bar,
        }
    }

    /// Counts `records` more as done.
    pub(super) fn add(&mut self, records: u64) {
        let before = self.done * STEPS / self.total.max(1);
        self.done += records;
        match &self.bar {
            Some(bar) => bar.inc(records),
            None if self.done * STEPS / self.total.max(1) > before => self.ui.note(line(self.done, self.total)),
            None => {}
        }
    }

    /// Leaves the finished bar on the screen.
    pub(super) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish();
        }
    }
}

fn line(done: u64, total: u64) -> String {
    let percent = 100.0 * done as f64 / total.max(1) as f64;
    format!("Progress: {percent:.1}% ({done}/{total} records)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_the_share_and_the_count() {
        assert_eq!(line(100, 1_000), "Progress: 10.0% (100/1000 records)");
        assert_eq!(line(1, 3), "Progress: 33.3% (1/3 records)");
    }
}
