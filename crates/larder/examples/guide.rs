//! What the pages of the guide show, page by page, run against the embedded engine.
//!
//! `cargo run -p larder --example guide`

use std::time::Duration;

use larder::{
    BoxError, Cache, CacheEvent, Coherence, PlainStore as _, PoolConfig, SqlTable, Store,
    redis::{self, AsyncCommands as _},
};
use serde::{Deserialize, Serialize};
use tracing::warn;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    team: u64,
    vip: bool,
}

type Cart = Vec<String>;

/// Stands for a database.
#[derive(Clone, Copy)]
struct Db;

impl Db {
    async fn user(self, id: u64) -> Result<User, BoxError> {
        Ok(User {
            team: id % 10,
            vip: true,
        })
    }

    async fn find(self, id: u64) -> Result<Option<User>, BoxError> {
        self.user(id).await.map(Some)
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let store = Store::open("embedded:").await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("shop.db");
    sources(&store, &file).await?;
    invalidation(&Store::open("embedded:").await?, Db).await?;
    stampedes(&Store::open("embedded:").await?, Db).await?;
    puts_and_counters(&Store::open("embedded:").await?).await?;
    near(&Store::open("embedded:").await?).await?;
    interop(&Store::open("embedded:").await?, Db).await?;
    other_languages(&Store::open("embedded:").await?).await?;
    stores().await?;
    #[cfg(feature = "prometheus")]
    metrics("127.0.0.1:0").await?;
    let users: Cache<u64, User> = Cache::builder("events")
        .store(&store)
        .ttl(Duration::from_secs(300))
        .build()
        .await?;
    let failing = users.get_or_load(&1, || async { Err(BoxError::from("no such table")) });
    let (told, failed) = tokio::join!(
        tokio::time::timeout(Duration::from_millis(200), events(&users)),
        failing
    );
    assert!(
        told.is_err() && failed.is_err(),
        "events go on for as long as the cache does"
    );
    println!("everything that the guide shows did what it says");
    Ok(())
}

/// sources.md and reading.md
async fn sources(store: &Store, file: &std::path::Path) -> Result<(), BoxError> {
    let pool = PoolConfig::path(file).create().open_sqlite().await?;
    sqlx::raw_sql(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, team INTEGER NOT NULL, vip BOOLEAN NOT NULL);
         INSERT INTO users VALUES (1, 7, 0), (2, 7, 0), (42, 7, 1);",
    )
    .execute(&pool)
    .await?;
    let users: Cache<u64, User> = Cache::builder("user")
        .store(store)
        .near(10_000)
        .ttl(Duration::from_secs(300))
        .grace(Duration::from_secs(60))
        .source(SqlTable::new(pool, "users"))
        .build()
        .await?;
    let user = users.get(&42).await?;
    let team = users.get_many(&[1, 2, 3]).await.all()?;
    assert_eq!((user.map(|user| user.team), team.len()), (Some(7), 2));
    Ok(())
}

/// tags-and-invalidation.md
async fn invalidation(store: &Store, db: Db) -> Result<(), BoxError> {
    let users: Cache<u64, User> = Cache::builder("user")
        .store(store)
        .ttl(Duration::from_secs(300))
        .tags(|user: &User| [format!("team:{}", user.team)])
        .build()
        .await?;
    let user = users
        .get_or_load_with(&42, |ctx| async move {
            let user = db.find(42).await?;
            if user.as_ref().is_some_and(|user| user.vip) {
                ctx.tag("vip");
            }
            Ok::<_, BoxError>(user)
        })
        .await?;
    assert!(user.is_some());
    users.invalidate(&42).await?;
    users.invalidate_many(&[42, 43]).await?;
    users.invalidate_tag("team:7").await?;
    users.clear().await?;
    assert_eq!(users.get(&42).await?, None);
    Ok(())
}

/// stampedes.md
async fn stampedes(store: &Store, db: Db) -> Result<(), BoxError> {
    let users: Cache<u64, User> = Cache::builder("user")
        .store(store)
        .ttl(Duration::from_secs(300))
        .build()
        .await?;
    let user = users.get_or_load(&42, || async { db.user(42).await }).await?;
    assert_eq!(user.team, 2);
    Ok(())
}

/// puts-and-counters.md
async fn puts_and_counters(store: &Store) -> Result<(), BoxError> {
    let (cart, a, b) = (vec!["tea".to_owned()], Cart::new(), Cart::new());
    let carts: Cache<u64, Cart> = Cache::builder("cart")
        .store(store)
        .ttl(Duration::from_secs(3600))
        .build()
        .await?;
    let receipt = carts.put(&7, cart.clone()).await?;
    println!("{receipt:?}");
    carts
        .put_with(&7, cart.clone(), |o| o.ttl(Duration::from_secs(60)).tag("vip"))
        .await?;
    let stored = carts.put_if_absent(&7, cart).await?;
    carts.put_many([(8, a), (9, b)]).await?;
    let existed = carts.touch(&7, Duration::from_secs(600)).await?;
    carts.remove(&7).await?;
    assert_eq!((stored, existed), (false, true));

    let users: Cache<u64, User> = Cache::builder("user")
        .store(store)
        .ttl(Duration::from_secs(300))
        .build()
        .await?;
    let visits = users.incr(&42, 1).await?;
    let left = users.decr(&42, 1).await?;
    let now = users.counter(&42).await?;
    users.reset_counter(&42).await?;
    assert_eq!((visits, left, now), (1, 0, Some(0)));
    Ok(())
}

/// near.md
async fn near(store: &Store) -> Result<(), BoxError> {
    let users: Cache<u64, User> = Cache::builder("user")
        .store(store)
        .near(10_000)
        .ttl(Duration::from_secs(300))
        .build()
        .await?;
    assert_eq!(users.stats().near_entries, 0);
    let _by_time: Cache<u64, User> = Cache::builder("by-time")
        .store(store)
        .ttl(Duration::from_secs(300))
        .near(10_000)
        .coherence(Coherence::TtlOnly {
            max_staleness: Duration::from_secs(1),
        })
        .build()
        .await?;
    Ok(())
}

/// interop.md
async fn interop(store: &Store, db: Db) -> Result<(), BoxError> {
    let user = db.user(42).await?;
    let users = store.plain::<User>("user");
    users.put(&42, &user, Duration::from_secs(300)).await?;
    let found = users.get(&42).await?;
    let user = users.get_or_load(&42, Duration::from_secs(300), || db.user(42)).await?;
    assert_eq!(found, Some(user));
    let raw: String = redis::cmd("GET").arg("user:42").query_async(&mut store.clone()).await?;
    assert_eq!(raw, r#"{"team":2,"vip":true}"#);
    Ok(())
}

/// metrics.md
#[cfg(feature = "prometheus")]
async fn metrics(address: &str) -> Result<(), BoxError> {
    let endpoint = larder::metrics::serve(address).await?;
    println!("metrics at {}", endpoint.local_addr());
    Ok(())
}

/// metrics.md
async fn events(users: &Cache<u64, User>) {
    let mut events = users.events();
    while let Some(event) = events.next().await {
        match event {
            CacheEvent::LoadFailed { why, took } => warn!("a load failed after {took:?}: {why:?}"),
            CacheEvent::Lost => warn!("near copies are not proven"),
            CacheEvent::Lagged(missed) => warn!("{missed} events came too fast"),
            _ => {}
        }
    }
}

/// other-languages.md
async fn other_languages(store: &Store) -> Result<(), BoxError> {
    let users: Cache<u64, User> = Cache::builder("user")
        .store(store)
        .ttl(Duration::from_secs(300))
        .channel("invalidations")
        .build()
        .await?;
    assert_eq!(users.get(&42).await?, None);
    Ok(())
}

/// stores.md
async fn stores() -> Result<(), BoxError> {
    let mut store = Store::open("embedded:").await?;
    let _: () = store.set("greeting", "hello").await?;
    let greeting: String = store.get("greeting").await?;
    assert_eq!(greeting, "hello");
    Ok(())
}
