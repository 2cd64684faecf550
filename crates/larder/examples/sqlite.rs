//! A SQLite table read through a cache: one statement for a batch, none for what is cached.
//!
//! `cargo run -p larder --example sqlite [redis://127.0.0.1:6379]`

use std::time::Duration;

use larder::{BoxError, Cache, PoolConfig, SqlTable, Store};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    nick: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let pool = PoolConfig::in_memory().open_sqlite().await?;
    sqlx::raw_sql(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL, nick TEXT);
         INSERT INTO users VALUES (1, 'Ada', NULL), (2, 'Grace', 'Amazing'), (3, 'Alan', NULL);",
    )
    .execute(&pool)
    .await?;

    let url = std::env::args().nth(1).unwrap_or_else(|| "embedded:".to_owned());
    let store = Store::open(&url).await?;
    let users: Cache<u64, User> = Cache::builder("example-sqlite")
        .store(&store)
        .ttl(Duration::from_secs(60))
        .source(SqlTable::new(pool.clone(), "users"))
        .build()
        .await?;
    users.invalidate_many(&[1, 2, 3, 4]).await?;

    let found = users.get_many(&[1, 2, 3, 4]).await.all()?;
    println!("{} of 4 users exist", found.len());
    assert_eq!(found.len(), 3);

    // A change made past the cache shows after its invalidation.
    sqlx::query("UPDATE users SET nick = 'Enchantress' WHERE id = 1")
        .execute(&pool)
        .await?;
    let before = users.get(&1).await?.and_then(|user| user.nick.clone());
    users.invalidate(&1).await?;
    let after = users.get(&1).await?.and_then(|user| user.nick.clone());
    println!("nick of user 1: {before:?}, after the invalidation {after:?}");
    assert_eq!((before, after.as_deref()), (None, Some("Enchantress")));
    Ok(())
}
