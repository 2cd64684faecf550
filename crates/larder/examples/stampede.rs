//! A thousand callers miss one key at once: it is loaded once.
//!
//! `cargo run -p larder --example stampede [redis://127.0.0.1:6379]`

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use larder::{BoxError, Cache, Store};
use tokio::task::JoinSet;

const CALLERS: usize = 1_000;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "embedded:".to_owned());
    let store = Store::open(&url).await?;
    let reports: Cache<String, String> = Cache::builder("example-stampede")
        .store(&store)
        .ttl(Duration::from_secs(60))
        .build()
        .await?;
    let key = "yearly".to_owned();
    reports.invalidate(&key).await?;

    let loads = Arc::new(AtomicU32::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (reports, key, loads) = (reports.clone(), key.clone(), loads.clone());
        callers.spawn(async move {
            let slow_query = || async {
                loads.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok::<_, std::io::Error>("the report".to_owned())
            };
            reports.get_or_load(&key, slow_query).await.map(|report| report.len())
        });
    }
    let answers = callers.join_all().await;
    let answered = answers.iter().filter(|answer| answer.is_ok()).count();
    println!("{answered} callers answered, {} load", loads.load(Ordering::Relaxed));
    assert_eq!((answered, loads.load(Ordering::Relaxed)), (CALLERS, 1));
    Ok(())
}
