//! How far a long piece of work has come: a bar for people, lines for everything else.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::ui::Ui;

/// Off a terminal a line is printed whenever another tenth is done: a log stays short however much there is.
const STEPS: u64 = 10;

/// The progress of working through `total` of `things`.
pub(crate) struct Progress {
    ui: Ui,
    things: &'static str,
    total: u64,
    done: u64,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn new(ui: &Ui, total: u64, things: &'static str) -> Self {
        let style = ProgressStyle::with_template("Progress: {percent:>3}% [{bar:40}] {pos}/{len} {msg}")
            .expect("the template is a constant")
            .progress_chars("#-.");
        let bar = ui.is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            bar.with_style(style).with_message(things)
        });
        Self {
            ui: ui.clone(),
            things,
            total,
            done: 0,
            bar,
        }
    }

    /// Counts `more` as done, as far as there are so many.
    pub(crate) fn add(&mut self, more: u64) {
        let before = self.done * STEPS / self.total.max(1);
        self.done = self.total.min(self.done + more);
        match &self.bar {
            Some(bar) => bar.set_position(self.done),
            None if self.done * STEPS / self.total.max(1) > before => {
                self.ui.note(line(self.done, self.total, self.things));
            }
            None => {}
        }
    }

    /// Leaves the finished bar on the screen.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish();
        }
    }
}

fn line(done: u64, total: u64, things: &str) -> String {
    let percent = 100.0 * done as f64 / total.max(1) as f64;
    format!("Progress: {percent:.1}% ({done}/{total} {things})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_the_share_and_the_count() {
        assert_eq!(line(100, 1_000, "records"), "Progress: 10.0% (100/1000 records)");
        assert_eq!(line(1, 3, "records"), "Progress: 33.3% (1/3 records)");
    }
}
