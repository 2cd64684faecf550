//! The source fails; a value past its TTL covers for it, and the cache is fresh again once the source is back.
//!
//! `cargo run -p larder --example grace [redis://127.0.0.1:6379]`

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use larder::{BoxError, Cache, Source, Store};

/// A price list that can be made to fail.
#[derive(Clone, Default)]
struct Prices {
    is_down: Arc<AtomicBool>,
    price: Arc<AtomicU64>,
}

impl Source<String, u64> for Prices {
    async fn load(&self, _article: &String) -> Result<Option<u64>, BoxError> {
        if self.is_down.load(Ordering::Relaxed) {
            return Err("the price list does not answer".into());
        }
        Ok(Some(self.price.fetch_add(1, Ordering::Relaxed)))
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "embedded:".to_owned());
    let store = Store::open(&url).await?;
    let source = Prices::default();
    let prices: Cache<String, u64> = Cache::builder("example-grace")
        .store(&store)
        .ttl(Duration::from_millis(100))
        .grace(Duration::from_secs(60))
        .source(source.clone())
        .build()
        .await?;
    let tea = "tea".to_owned();
    prices.invalidate(&tea).await?;

    let first = prices.get(&tea).await?;
    source.is_down.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(150)).await;
    let covered = prices.lookup(&tea).await?;
    println!(
        "source down: price {:?}, stale: {}",
        covered.value(),
        covered.is_stale()
    );
    assert!(covered.is_stale() && covered.value() == first.as_ref());

    source.is_down.store(false, Ordering::Relaxed);
    let mut tries = 0;
    while !prices.lookup(&tea).await?.is_fresh() {
        tries += 1;
        assert!(tries < 500, "the refresh after the outage did not happen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("source back: price {:?}, fresh", prices.get(&tea).await?);
    Ok(())
}
