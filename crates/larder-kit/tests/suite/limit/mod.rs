//! Rate limits.

mod ahead;
mod behaviour;
mod checks;
mod configuring;
mod full;
mod lab;
mod lost;
mod mutants;
mod naive;
mod outages;
mod permits;
mod processes;

use std::time::Duration;

use larder_kit::limit::{FixedWindow, Gcra, Limit, SlidingCounter, SlidingLog};

/// Each kind with `permits` per `window`, all of them at once.
fn every_kind(permits: u64, window: Duration) -> [(&'static str, Limit); 4] {
    let sure = "the numbers are sensible";
    [
        ("gcra", Gcra::per(permits, window).try_into().expect(sure)),
        ("fixed", FixedWindow::per(permits, window).try_into().expect(sure)),
        ("counter", SlidingCounter::per(permits, window).try_into().expect(sure)),
        ("log", SlidingLog::per(permits, window).try_into().expect(sure)),
    ]
}

/// A day, in which no test sees time pass.
const DAY: Duration = Duration::from_secs(86_400);
