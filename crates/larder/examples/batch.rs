//! A hundred keys in one call: one round trip, and one load for all that is missing.
//!
//! `cargo run -p larder --example batch [redis://127.0.0.1:6379]`

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use larder::{BoxError, Cache, Source, Store};

/// Squares, loaded one by one or many at once; calls are counted.
#[derive(Clone, Default)]
struct Squares {
    calls: Arc<AtomicUsize>,
}

impl Source<u64, u64> for Squares {
    async fn load(&self, key: &u64) -> Result<Option<u64>, BoxError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Ok(Some(key * key))
    }

    async fn load_many(&self, keys: &[u64]) -> Result<Vec<(u64, u64)>, BoxError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Ok(keys.iter().map(|key| (*key, key * key)).collect())
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "embedded:".to_owned());
    let store = Store::open(&url).await?;
    let source = Squares::default();
    let squares: Cache<u64, u64> = Cache::builder("example-batch")
        .store(&store)
        .ttl(Duration::from_secs(60))
        .source(source.clone())
        .build()
        .await?;
    let keys: Vec<u64> = (1..=100).collect();
    squares.invalidate_many(&keys).await?;

    let found = squares.get_many(&keys).await.all()?;
    println!(
        "{} squares, {} call of the source",
        found.len(),
        source.calls.load(Ordering::Relaxed)
    );
    assert_eq!((found.len(), source.calls.load(Ordering::Relaxed)), (100, 1));
    squares.get_many(&keys).await.all()?;
    println!("again: still {} call", source.calls.load(Ordering::Relaxed));
    assert_eq!(source.calls.load(Ordering::Relaxed), 1);
    Ok(())
}
