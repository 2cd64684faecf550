//! A typed cache in ten lines: the first read loads, the second does not.
//!
//! `cargo run -p larder --example quickstart [redis://127.0.0.1:6379]`

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use larder::{BoxError, Cache, Store};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct User {
    name: String,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "embedded:".to_owned());
    let store = Store::open(&url).await?;
    let users: Cache<u64, User> = Cache::builder("example-quickstart")
        .store(&store)
        .ttl(Duration::from_secs(60))
        .build()
        .await?;
    users.invalidate(&42).await?; // a server may remember an earlier run

    let queries = AtomicU32::new(0);
    for _ in 0..3 {
        let user = users
            .get_or_load(&42, || async {
                queries.fetch_add(1, Ordering::Relaxed);
                Ok::<_, BoxError>(User { name: "Ada".to_owned() })
            })
            .await?;
        println!("user 42 is {}", user.name);
    }
    println!("3 reads, {} query", queries.load(Ordering::Relaxed));
    assert_eq!(queries.load(Ordering::Relaxed), 1);
    Ok(())
}
