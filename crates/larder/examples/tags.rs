//! One call invalidates every value that carries a tag, and no other.
//!
//! `cargo run -p larder --example tags [redis://127.0.0.1:6379]`

use std::time::Duration;

use larder::{BoxError, Cache, Delivery, Store};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Player {
    team: u64,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "embedded:".to_owned());
    let store = Store::open(&url).await?;
    let players: Cache<u64, Player> = Cache::builder("example-tags")
        .store(&store)
        .ttl(Duration::from_secs(60))
        .tags(|player: &Player| [format!("team:{}", player.team)])
        .build()
        .await?;

    let ids: Vec<u64> = (0..30).collect();
    let receipt = players
        .put_many(ids.iter().map(|&id| (id, Player { team: id % 3 })))
        .await?;
    assert_eq!(receipt.invalidation(), Delivery::Acknowledged);
    println!("{} players cached", players.get_many(&ids).await.all()?.len());
    players.invalidate_tag("team:1").await?;
    let left = players.get_many(&ids).await.all()?;
    println!("team 1 invalidated: {} players left", left.len());
    assert_eq!(left.len(), 20);
    Ok(())
}
