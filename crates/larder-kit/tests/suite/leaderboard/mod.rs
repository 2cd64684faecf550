//! Leaderboards.

mod behaviour;
mod mutants;
mod naive;
mod windows;

use std::time::Duration;

use larder_kit::{
    Retention,
    leaderboard::{Leaderboard, LeaderboardBuilder, LeaderboardError, Standing},
};
use larder_testkit::Topology;

/// Longer than any test takes.
const DAY: Duration = Duration::from_secs(86_400);

type Outcome = Result<(), LeaderboardError>;

async fn building(t: &Topology, namespace: &str) -> LeaderboardBuilder<String> {
    Leaderboard::builder(namespace)
        .store(&t.store().await)
        .retention(Retention::For(DAY))
}

async fn board(t: &Topology) -> Result<Leaderboard<String>, LeaderboardError> {
    building(t, "game").await.build()
}

fn name(text: &str) -> String {
    text.to_owned()
}

fn names(standings: &[Standing<String>]) -> Vec<&str> {
    standings.iter().map(|standing| standing.member.as_str()).collect()
}
