//! Writes are accepted by the store, read at once, and committed to a table in batches: of a key that is written often only
//! its last value. What the table refuses for good is a dead letter, replayed once the cause is repaired.
//!
//! `cargo run -p larder --example write_behind [redis://127.0.0.1:6379]`

use std::time::Duration;

use larder::{Ack, BoxError, Cache, PoolConfig, SqlTable, Store, Tier, WriteBehind, WritePolicy};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Page {
    id: u64,
    text: String,
}

fn page(id: u64, text: impl Into<String>) -> Page {
    Page { id, text: text.into() }
}

const NAMESPACE: &str = "example-behind";

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let pool = PoolConfig::in_memory().open_sqlite().await?;
    sqlx::raw_sql("CREATE TABLE pages (id INTEGER PRIMARY KEY, text TEXT NOT NULL CHECK (length(text) < 100))")
        .execute(&pool)
        .await?;
    let table = SqlTable::new(pool.clone(), "pages");
    table.prepare().namespace(NAMESPACE).apply().await?; // or: larder sql prepare

    let url = std::env::args().nth(1).unwrap_or_else(|| "embedded:".to_owned());
    let store = Store::open(&url).await?;
    let pages: Cache<u64, Page> = Cache::builder(NAMESPACE)
        .store(&store)
        .ttl(Duration::from_secs(300))
        .source(table.clone())
        // In memory is as safe as a store without a log is; `Ack::Fsync` where it has one.
        .write(WritePolicy::Behind(
            WriteBehind::new(Ack::Memory).delay(Duration::from_millis(200)),
        ))
        .build()
        .await?;

    // A page that saves as one types: every read sees it at once.
    let mut receipt = pages.put(&1, page(1, "")).await?;
    for letters in 1..=50 {
        receipt = pages.put(&1, page(1, "x".repeat(letters))).await?;
    }
    let read = pages.lookup(&1).await?;
    assert_eq!(
        (read.tier(), read.value().map(|page| page.text.len())),
        (Tier::Behind, Some(50))
    );
    pages.barrier(&receipt).await?;
    assert_eq!(table.rows::<u64, Page>(&[1]).await?, [(1, page(1, "x".repeat(50)))]);
    let stats = pages.stats();
    println!(
        "{} writes accepted, {} committed",
        stats.behind_accepted, stats.behind_flushed
    );
    assert!(stats.behind_flushed < stats.behind_accepted);

    // Page 2 is too long for the table. It is a dead letter, and page 3 flows.
    let receipt = pages
        .put_many([(2, page(2, "y".repeat(500))), (3, page(3, "short"))])
        .await?;
    pages.barrier(&receipt).await?;
    let letters = pages.dead_letters().await?;
    assert_eq!(letters.len(), 1);
    for letter in &letters {
        println!("dead letter {}: page {}: {}", letter.id, letter.key, letter.why);
    }
    assert_eq!(table.rows::<u64, Page>(&[2, 3]).await?.len(), 1);

    // The cause is repaired, and the letter replayed; `larder dlq replay` does the same.
    sqlx::raw_sql("PRAGMA ignore_check_constraints = ON")
        .execute(&pool)
        .await?;
    assert!(pages.replay_dead_letter(letters[0].id).await?);
    assert_eq!(table.rows::<u64, Page>(&[2, 3]).await?.len(), 2);

    let drained = pages.drain(Duration::from_secs(5)).await;
    println!("drained: {} left", drained.left.unwrap_or_default());
    assert_eq!(drained.left, Some(0));
    Ok(())
}
