//! Many callers on one missing key, on one process and spread over four: how often it is loaded, and how long they wait.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hdrhistogram::Histogram;
use larder_base::Clock;
use tokio::{sync::Barrier, task::JoinSet};

use super::Group;
use crate::{
    Lab,
    lab::{rounds::histogram, user::User},
    node::{Load, Node, Place},
    peers::PEERS,
    report::{Section, Table},
};

pub(crate) const GROUP: Group = Group {
    name: "stampede",
    about: "1,000 callers on one missing key, a load takes 50 ms",
    run: |lab| lab.runtime.block_on(run(lab)),
};

const CALLERS: usize = 1_000;
const LOAD: Duration = Duration::from_millis(50);

async fn run(lab: &Lab) -> anyhow::Result<Section> {
    let mut rows = Vec::new();
    for count in [1, 4] {
        for (i, peer) in PEERS.iter().enumerate() {
            let place = Place::new(&lab.redis.url(), &format!("bench-stampede-{i}-{count}"), 1_000);
            let mut nodes: Vec<Arc<dyn Node>> = Vec::new();
            for _ in 0..count {
                nodes.push(Arc::from((peer.join)(place.clone()).await?));
            }
            let (loads, waits) = stampede(&nodes).await?;
            let ms = |nanos: u64| format!("{:.1} ms", nanos as f64 / 1e6);
            rows.push(vec![
                peer.name.to_owned(),
                count.to_string(),
                loads.to_string(),
                ms(waits.value_at_quantile(0.5)),
                ms(waits.value_at_quantile(0.99)),
                ms(waits.max()),
            ]);
        }
    }
    Ok(Section::Table(Table {
        title: format!("{CALLERS} callers"),
        columns: vec!["subject", "processes", "loads", "wait p50", "wait p99", "longest"],
        rows,
    }))
}

/// Lets all callers go at once: how often it was loaded, and how long each waited, in nanoseconds.
async fn stampede(nodes: &[Arc<dyn Node>]) -> anyhow::Result<(u64, Histogram<u64>)> {
    let loads = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&loads);
    let load: Load = Arc::new(move || {
        // Relaxed: read after every caller has ended.
        counted.fetch_add(1, Ordering::Relaxed);
        Box::pin(async {
            Clock::system().sleep(LOAD).await;
            User::number(1)
        })
    });
    let barrier = Arc::new(Barrier::new(CALLERS));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (node, load) = (Arc::clone(&nodes[caller % nodes.len()]), Arc::clone(&load));
        let (barrier, clock) = (Arc::clone(&barrier), Clock::system());
        callers.spawn(async move {
            barrier.wait().await;
            let began = clock.monotonic();
            node.read(1, load).await?;
            anyhow::Ok(clock.monotonic() - began)
        });
    }
    let mut waits = histogram();
    while let Some(ended) = callers.join_next().await {
        waits.saturating_record(ended??.as_nanos() as u64);
    }
    Ok((loads.load(Ordering::Relaxed), waits))
}
