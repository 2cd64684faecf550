//! What a lock alone does not prevent: its holder stands still, another is granted it, and the first goes on. The database turns
//! the first one away.
//!
//! `cargo run -p larder --example fenced [redis://127.0.0.1:6379]`

use std::time::Duration;

use larder::{
    BoxError, FencedTx, Fences, Fencing, PoolConfig, Store,
    lock::{Guard, Lock as _, StoreLock},
    sqlx::{self, SqlitePool},
};

const ACCOUNT: i64 = 7;

/// A holder that is stopped right after it has asked its guard, and so goes on.
struct Unaware(Guard);

impl Fencing for Unaware {
    fn resource(&self) -> &str {
        self.0.resource()
    }

    fn fence(&self) -> Option<u64> {
        Fencing::fence(&self.0)
    }

    fn check(&self) -> Result<(), BoxError> {
        Ok(())
    }
}

async fn balance(pool: &SqlitePool) -> Result<i64, BoxError> {
    let balance = sqlx::query_scalar("SELECT balance FROM account WHERE id = $1").bind(ACCOUNT);
    Ok(balance.fetch_one(pool).await?)
}

/// Takes 30 of what was there when it was looked at.
async fn pay_by_hand(pool: &SqlitePool, seen: i64) -> Result<(), BoxError> {
    let pay = sqlx::query("UPDATE account SET balance = $1 WHERE id = $2");
    pay.bind(seen - 30).bind(ACCOUNT).execute(pool).await?;
    Ok(())
}

/// Looks, under the fence of `guard`: from then on nobody from before writes.
async fn look(pool: &SqlitePool, guard: &impl Fencing) -> Result<i64, BoxError> {
    let mut tx = FencedTx::begin(pool, guard).await?;
    let balance = sqlx::query_scalar("SELECT balance FROM account WHERE id = $1").bind(ACCOUNT);
    let seen = balance.fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(seen)
}

async fn pay(pool: &SqlitePool, guard: &impl Fencing, seen: i64) -> Result<(), BoxError> {
    let mut tx = FencedTx::begin(pool, guard).await?;
    let pay = sqlx::query("UPDATE account SET balance = $1 WHERE id = $2");
    pay.bind(seen - 30).bind(ACCOUNT).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// The lock of the account, which runs out as it does when its holder is paused: nobody renews it.
async fn granted_and_outlived(lock: &StoreLock) -> Result<(Guard, Guard), BoxError> {
    let paused = lock.acquire(&ACCOUNT).await?;
    let next = lock.acquire(&ACCOUNT).await?;
    Ok((paused, next))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "embedded:".to_owned());
    let store = Store::open(&url).await?;
    let pool = PoolConfig::in_memory().open_sqlite().await?;
    sqlx::raw_sql(
        "CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER); INSERT INTO account VALUES (7, 100)",
    )
    .execute(&pool)
    .await?;
    Fences::new(pool.clone()).prepare().await?;
    let accounts = StoreLock::builder("example-fenced")
        .store(&store)
        .ttl(Duration::from_millis(200))
        .watchdog(false)
        .build()?;

    // By hand: both have looked, and both write.
    let (paused, next) = granted_and_outlived(&accounts).await?;
    let (seen_by_paused, seen_by_next) = (balance(&pool).await?, balance(&pool).await?);
    pay_by_hand(&pool, seen_by_next).await?;
    pay_by_hand(&pool, seen_by_paused).await?;
    println!("two took 30 of 100, by hand:  {} are left", balance(&pool).await?);
    assert_eq!(balance(&pool).await?, 70, "one of the payments is lost");
    drop((paused, next));

    // Under their fences: the one that was paused is turned away, looks again, and pays.
    sqlx::query("UPDATE account SET balance = 100").execute(&pool).await?;
    let paused = Unaware(accounts.acquire(&ACCOUNT).await?);
    let seen_by_paused = look(&pool, &paused).await?;
    let next = accounts.acquire(&ACCOUNT).await?;
    let seen_by_next = look(&pool, &next).await?;
    pay(&pool, &next, seen_by_next).await?;
    next.release().await?;
    let refused = pay(&pool, &paused, seen_by_paused).await.expect_err("it was overtaken");
    println!("the one that was paused:      {refused}");
    let again = accounts.acquire(&ACCOUNT).await?;
    let seen = look(&pool, &again).await?;
    pay(&pool, &again, seen).await?;
    println!("two took 30 of 100, fenced:   {} are left", balance(&pool).await?);
    assert_eq!(balance(&pool).await?, 40);
    Ok(())
}
