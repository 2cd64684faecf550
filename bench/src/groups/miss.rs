//! Cold misses: nothing cached anywhere, a loader that answers at once, near tiers on. The yardstick is `GET`, load, `SET`
//! by hand, which lets late values in; two round trips are the least that anybody needs.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use redis::AsyncCommands as _;

use super::Group;
use crate::{
    Lab,
    lab::{near::TTL, rounds::Tournament, store::spread, user::User},
    node::{Node, Place, user},
    peers::PEERS,
    report::Section,
};

pub(crate) const GROUP: Group = Group {
    name: "miss",
    about: "cold misses on redis-server, a loader that answers at once",
    run: |lab| lab.runtime.block_on(run(lab)),
};

/// Misses of one round, all tasks together.
const MISSES: u64 = 4_000;

async fn run(lab: &Lab) -> anyhow::Result<Section> {
    let url = lab.redis.url();
    let hand = redis::Client::open(url.as_str())?
        .get_multiplexed_async_connection()
        .await?;
    let mut nodes: Vec<(&str, Arc<dyn Node>)> = Vec::new();
    for (i, peer) in PEERS.iter().enumerate() {
        let node = (peer.join)(Place::new(&url, &format!("bench-miss-{i}"), 100_000)).await?;
        nodes.push((peer.name, Arc::from(node)));
    }
    let mut figures = Vec::new();
    let next = Arc::new(AtomicU64::new(0));
    for tasks in [1, 16] {
        let mut tournament = Tournament::new(format!("cold miss, {tasks} tasks"));
        for _ in 0..lab.rounds {
            let (bare, ids) = (hand.clone(), Arc::clone(&next));
            let by_hand = move |_, _| {
                let (mut redis, id) = (bare.clone(), ids.fetch_add(1, Ordering::Relaxed));
                async move {
                    let key = format!("bench-miss:{id}");
                    let found: Option<Vec<u8>> = redis.get(&key).await?;
                    anyhow::ensure!(found.is_none(), "every read is a miss");
                    let user = User::number(id);
                    let () = redis.set_ex(&key, serde_json::to_vec(&user)?, TTL.as_secs()).await?;
                    Ok::<_, anyhow::Error>(user)
                }
            };
            tournament.add("GET, load, SET by hand", spread(tasks, MISSES, by_hand).await?);
            for (name, node) in &nodes {
                let (node, ids) = (Arc::clone(node), Arc::clone(&next));
                let miss = move |_, _| {
                    let (node, id) = (Arc::clone(&node), ids.fetch_add(1, Ordering::Relaxed));
                    async move { node.read(id, user(id)).await }
                };
                tournament.add(name, spread(tasks, MISSES, miss).await?);
            }
        }
        figures.extend(tournament.figures());
    }
    Ok(Section::Figures(figures))
}
