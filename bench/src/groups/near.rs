//! Hits in process, through each peer's public API: what keeps copies true between processes is on where there is such.

use larder_base::CacheKey;

use super::Group;
use crate::{
    Lab, allocations,
    lab::{figure::Figure, near::Workload},
    node::Text,
    peers,
    report::Section,
};

pub(crate) const GROUP: Group = Group {
    name: "near",
    about: "hits in process, coherence on; p50 and p99 are of 250 hits in a row, divided",
    run,
};

fn run(lab: &Lab) -> anyhow::Result<Section> {
    let mut figures = with(lab, "u64", |id| id)?;
    figures.extend(with(lab, "String", |id| format!("customer:{id:08}"))?);
    Ok(Section::Figures(figures))
}

fn with<K: CacheKey + Text>(lab: &Lab, key_name: &str, key: impl Fn(u64) -> K) -> anyhow::Result<Vec<Figure>> {
    let workload = Workload::new(key);
    let namespace = format!("bench-near-{}", key_name.to_ascii_lowercase());
    let subjects = lab
        .runtime
        .block_on(peers::near(&lab.redis.url(), &namespace, &workload.keys))?;
    let mut figures = Vec::new();
    for threads in [1, 2] {
        let case = format!(
            "near hit, {key_name} key, {threads} thread{}",
            if threads == 1 { "" } else { "s" }
        );
        figures.extend(workload.run(&case, &subjects, threads, lab.rounds, Some(allocations::of_thread)));
    }
    Ok(figures)
}
