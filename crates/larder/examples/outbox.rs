//! Invalidations that survive a crash: recorded in the transaction that makes them necessary, and relayed by whoever lives.
//!
//! `cargo run -p larder --example outbox [redis://127.0.0.1:6379]`

use std::time::Duration;

use larder::{BoxError, Cache, Outbox, PoolConfig, SqlTable, Store};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let pool = PoolConfig::in_memory().open_sqlite().await?;
    sqlx::raw_sql(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL); INSERT INTO users VALUES (1, 'Ada')",
    )
    .execute(&pool)
    .await?;
    let url = std::env::args().nth(1).unwrap_or_else(|| "embedded:".to_owned());
    let store = Store::open(&url).await?;

    // By SQL of one's own.
    let outbox = Outbox::new(pool.clone()).delay(Duration::ZERO);
    outbox.prepare().await?;
    let users: Cache<u64, User> = Cache::builder("example-outbox")
        .store(&store)
        .ttl(Duration::from_secs(300))
        .source(SqlTable::new(pool.clone(), "users").outbox(&outbox, "example-outbox"))
        .build()
        .await?;
    users.invalidate(&1).await?;
    println!("{:?}", users.get(&1).await?);

    let mut transaction = pool.begin().await?;
    sqlx::query("UPDATE users SET name = 'Ada Lovelace' WHERE id = 1")
        .execute(&mut *transaction)
        .await?;
    let owed = outbox.invalidate(&mut transaction, &users, &1).await?;
    transaction.commit().await?;
    owed.deliver().await?;
    println!("{:?}", users.get(&1).await?);

    // A writer that dies here: its commit is there, and its invalidation is not.
    let mut transaction = pool.begin().await?;
    sqlx::query("UPDATE users SET name = 'Countess of Lovelace' WHERE id = 1")
        .execute(&mut *transaction)
        .await?;
    let owed = outbox.invalidate(&mut transaction, &users, &1).await?;
    transaction.commit().await?;
    drop(owed);
    println!("the writer has died:  {:?}", users.get(&1).await?);

    // Any process that relays makes it. A service calls `start` once; `sweep` is one round of it.
    let swept = outbox.relay().cache(&users).sweep().await?;
    println!("relayed {}:            {:?}", swept.delivered, users.get(&1).await?);
    assert_eq!(
        users.get(&1).await?.as_deref().map(|user| user.name.as_str()),
        Some("Countess of Lovelace")
    );

    // By the table that is the cache's sink: the record is part of what `put` commits.
    users
        .put(
            &2,
            User {
                id: 2,
                name: "Grace".into(),
            },
        )
        .await?;
    Ok(())
}
