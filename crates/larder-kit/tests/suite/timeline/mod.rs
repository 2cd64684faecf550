//! Timelines.

mod behaviour;
mod fan_out;
mod mutants;
mod naive;
mod rebuild;

use std::time::Duration;

use larder_kit::{
    Retention,
    timeline::{Page, Timeline, TimelineBuilder, TimelineError},
};
use larder_testkit::Topology;

/// Longer than any test takes.
const DAY: Duration = Duration::from_secs(86_400);

type Outcome = Result<(), TimelineError>;

async fn building(t: &Topology) -> TimelineBuilder<u64, u64> {
    Timeline::builder("home")
        .store(&t.store().await)
        .retention(Retention::For(DAY))
}

async fn timeline(t: &Topology) -> Result<Timeline<u64, u64>, TimelineError> {
    building(t).await.build()
}

fn ids(page: &Page<u64>) -> Vec<u64> {
    page.items.iter().map(|item| item.id).collect()
}
