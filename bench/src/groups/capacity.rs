//! Inserts into a cache that is full: whether one costs more where there is more to choose from.

use larder_base::Clock;
use std::time::Duration;

use super::Group;
use crate::{
    Lab,
    lab::{
        cpu,
        figure::Figure,
        rounds::{Round, Tournament, histogram},
    },
    peers,
    report::Section,
    row::Inserts,
};

pub(crate) const GROUP: Group = Group {
    name: "capacity",
    about: "inserts of new keys into a full cache, by size",
    run,
};

const SIZES: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// Inserts that are measured, less if they take long.
const INSERTS: u64 = 20_000;

/// How long one subject is measured at one size.
const LONG: Duration = Duration::from_secs(2);

/// How long one subject is filled at one size.
const FILLING: Duration = Duration::from_secs(20);

fn run(lab: &Lab) -> anyhow::Result<Section> {
    let mut figures: Vec<Figure> = Vec::new();
    for size in SIZES {
        let mut tournament = Tournament::new(format!("insert, {size} entries"));
        let subjects = lab.runtime.block_on(peers::bounded(size))?;
        let _runtime = lab.runtime.enter();
        for (name, subject) in subjects {
            if let Some(round) = round(&*subject, size) {
                tournament.add(name, round);
            }
        }
        figures.extend(tournament.figures());
    }
    Ok(Section::Figures(figures))
}

/// `None` if filling it takes too long to be measured.
fn round(subject: &dyn Inserts, size: u64) -> Option<Round> {
    let clock = Clock::system();
    let began = clock.monotonic();
    for id in 0..size {
        subject.insert(id);
        if clock.monotonic() - began > FILLING {
            return None;
        }
    }
    let mut latencies = histogram();
    let (began, cpu) = (clock.monotonic(), cpu::of_process());
    let mut last = began;
    for id in size..size + INSERTS {
        subject.insert(id);
        let now = clock.monotonic();
        latencies.saturating_record((now - last).as_nanos() as u64);
        last = now;
        if now - began > LONG {
            break;
        }
    }
    Some(Round {
        operations: latencies.len(),
        cpu: cpu::of_process() - cpu,
        wall: last - began,
        allocations: None,
        latencies: Some(latencies),
    })
}
