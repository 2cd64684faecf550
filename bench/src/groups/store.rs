//! Hits in redis-server, near tiers off: one round trip and the decoding, against the same by hand.

use std::sync::Arc;

use larder_store::Store;

use super::Group;
use crate::{
    Lab,
    lab::store::{self, Hand, Other, Read},
    node::{Node, Place, user},
    peers::PEERS,
    report::Section,
};

pub(crate) const GROUP: Group = Group {
    name: "store",
    about: "hits in redis-server, near tiers off; CPU is this process's alone",
    run: |lab| lab.runtime.block_on(run(lab)),
};

/// As many as the shared part reads.
const KEYS: u64 = 1_000;

async fn run(lab: &Lab) -> anyhow::Result<Section> {
    let url = lab.redis.url();
    let store = Store::open(&url).await?;
    let hand = redis::Client::open(url.as_str())?
        .get_multiplexed_async_connection()
        .await?;
    let others = others(&url).await?;
    let figures = store::run(
        &store,
        "bench-store",
        Hand::Redis(hand),
        "store hit",
        lab.rounds,
        &others,
    )
    .await?;
    store.close().await;
    Ok(Section::Figures(figures))
}

/// Everybody but Larder, which takes part anyway; all keys stored.
async fn others(url: &str) -> anyhow::Result<Vec<Other>> {
    let mut others: Vec<Other> = Vec::new();
    for (i, peer) in PEERS.iter().enumerate().skip(1) {
        let node: Arc<dyn Node> = Arc::from((peer.join)(Place::new(url, &format!("bench-store-{i}"), 0)).await?);
        for id in 0..KEYS {
            node.read(id, user(id)).await?;
        }
        others.push((peer.name.to_owned(), reads(node)));
    }
    Ok(others)
}

fn reads(node: Arc<dyn Node>) -> Read {
    Arc::new(move |id| {
        let node = Arc::clone(&node);
        Box::pin(async move { node.read(id, user(id)).await.map(drop) })
    })
}
