//! The frame of the scenes that have the same accident happen again and again, with Larder and with what is written by hand,
//! and count how often each of them is wrong afterwards.

use crate::{
    cmd::demo::{report::Report, stage::Stage},
    failure::Outcome,
};

/// How often.
pub(super) const ROUNDS: u64 = 50;

/// How often each side was wrong.
#[derive(Debug, Default)]
pub(super) struct Duel {
    pub(super) larder: u64,
    naive: u64,
}

impl Duel {
    /// Plays a round of each side after the other, each with its number and the id of a user; `true` is wrong.
    pub(super) async fn play(
        stage: &Stage,
        mut larder: impl AsyncFnMut(u64, u64) -> Outcome<bool>,
        mut naive: impl AsyncFnMut(u64, u64) -> Outcome<bool>,
    ) -> Outcome<Self> {
        let mut duel = Self::default();
        for round in 0..ROUNDS {
            let id = stage.user_of(round);
            duel.larder += u64::from(larder(round, id).await?);
            duel.naive += u64::from(naive(round, id).await?);
        }
        Ok(duel)
    }

    /// A report that begins with the rounds, under this name, and how often each side was `wrong`.
    pub(super) fn report(&self, rounds: &str, wrong: &str) -> Report {
        let mut report = Report::default();
        report.count(rounds, ROUNDS);
        self.tell(&mut report, wrong);
        report
    }

    /// Adds how often each side was `wrong`.
    pub(super) fn tell(&self, report: &mut Report, wrong: &str) {
        report.count(wrong, self.larder);
        report.count(&format!("{wrong}_naive"), self.naive);
    }
}
