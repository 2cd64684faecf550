//! `larder bench stampede`: many callers on one missing key.
//!
//! Four caches on four connections stand for four processes: nothing is shared between them but the store. Beside
//! them the code that nearly everybody writes: read, and if it is missing load and write.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use comfy_table::{CellAlignment, Table, presets};
use hdrhistogram::Histogram;
use larder_base::Clock;
use larder_cache::Cache;
use larder_store::Store;
use redis::cmd;
use serde::Serialize;
use tokio::{sync::Barrier, task::JoinSet};

use super::lab::{cpu, rounds::histogram, user::User};
use crate::{context::Context, failure::Outcome, flags::OwnStore, own_keys};

/// Caches that know nothing of each other.
const CACHES: usize = 4;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    store: OwnStore,
    /// Callers that ask for the key at one time, spread over four caches that share nothing but the store.
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    callers: u32,
    /// How long a load takes, in milliseconds.
    #[arg(long, default_value_t = 50, value_name = "MS")]
    load_ms: u64,
}

/// What came of one stampede.
#[derive(Debug, Serialize)]
struct Stampede {
    subject: String,
    callers: u32,
    caches: usize,
    loads: u64,
    wait_p50_ms: f64,
    wait_p99_ms: f64,
    wait_max_ms: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    machine: String,
    load_ms: u64,
    stampedes: Vec<Stampede>,
}

/// Loads slowly, and counts.
#[derive(Clone)]
struct Loader {
    loads: Arc<AtomicU64>,
    clock: Clock,
    takes: Duration,
}

impl Loader {
    fn new(clock: &Clock, takes: Duration) -> Self {
        Self {
            loads: Arc::default(),
            clock: clock.clone(),
            takes,
        }
    }

    async fn load(self) -> Result<User, std::convert::Infallible> {
        // Relaxed: read after every caller has ended.
        self.loads.fetch_add(1, Ordering::Relaxed);
        self.clock.sleep(self.takes).await;
        Ok(User::number(1))
    }
}

pub(crate) async fn run(args: Args, context: &Context) -> Outcome {
    let takes = Duration::from_millis(args.load_ms);
    let run = Run {
        stores: stores(&args.store).await?,
        namespace: format!("bench-{:016x}", context.random.next_u64()),
        clock: context.clock.clone(),
        callers: args.callers,
        takes,
    };
    let all = async {
        Ok(vec![
            run.naive().await?,
            run.larder(1).await?,
            run.larder(CACHES).await?,
        ])
    };
    let report = Report {
        machine: cpu::machine(),
        load_ms: args.load_ms,
        stampedes: own_keys::removed_after(context, &run.stores, &run.namespace, all).await?,
    };
    context.ui.line(report.table());
    context.ui.document(&report);
    for store in &run.stores {
        store.close().await;
    }
    Ok(())
}

/// A connection for each cache; on `embedded:` all to one engine.
async fn stores(store: &OwnStore) -> Outcome<Vec<Store>> {
    let first = store.open().await?;
    let mut stores = Vec::with_capacity(CACHES);
    for _ in 1..CACHES {
        stores.push(match first.engine() {
            Some(engine) => Store::embedded(engine.clone()),
            None => store.open().await?,
        });
    }
    stores.push(first);
    Ok(stores)
}

struct Run {
    stores: Vec<Store>,
    namespace: String,
    clock: Clock,
    callers: u32,
    takes: Duration,
}

impl Run {
    async fn larder(&self, count: usize) -> Outcome<Stampede> {
        let mut caches = Vec::with_capacity(count);
        for store in &self.stores[..count] {
            let namespace = format!("{}-{count}", self.namespace);
            caches.push(
                Cache::<u64, User>::builder(namespace)
                    .store(store)
                    .ttl(Duration::from_secs(60))
                    .build()
                    .await?,
            );
        }
        let loader = Loader::new(&self.clock, self.takes);
        let slow = loader.clone();
        let waits = self
            .release(move |caller| {
                let (cache, loader) = (caches[caller % count].clone(), slow.clone());
                async move {
                    cache.get_or_load(&1, || loader.load()).await?;
                    Ok(())
                }
            })
            .await?;
        Ok(self.outcome("larder", count, &loader, &waits))
    }

    /// Read; if it is missing, load and write.
    async fn naive(&self) -> Outcome<Stampede> {
        let loader = Loader::new(&self.clock, self.takes);
        let (stores, slow) = (self.stores.clone(), loader.clone());
        let key = format!("{}:naive", self.namespace);
        let waits = self
            .release(move |caller| {
                let (mut store, loader, key) = (stores[caller % CACHES].clone(), slow.clone(), key.clone());
                async move {
                    let found: Option<Vec<u8>> = cmd("GET").arg(&key).query_async(&mut store).await?;
                    if found.is_none() {
                        let user = serde_json::to_vec(&loader.load().await?)?;
                        let () = cmd("SET")
                            .arg(&key)
                            .arg(user)
                            .arg("EX")
                            .arg(60)
                            .query_async(&mut store)
                            .await?;
                    }
                    Ok(())
                }
            })
            .await?;
        Ok(self.outcome("get, load, set by hand", CACHES, &loader, &waits))
    }

    /// Lets all callers go at once; how long each waited, in nanoseconds.
    async fn release<F, Fut>(&self, call: F) -> anyhow::Result<Histogram<u64>>
    where
        F: Fn(usize) -> Fut,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let barrier = Arc::new(Barrier::new(self.callers as usize));
        let mut callers = JoinSet::new();
        for caller in 0..self.callers as usize {
            let (call, barrier, clock) = (call(caller), barrier.clone(), self.clock.clone());
            callers.spawn(async move {
                barrier.wait().await;
                let began = clock.monotonic();
                call.await?;
                anyhow::Ok(clock.monotonic() - began)
            });
        }
        let mut waits = histogram();
        while let Some(ended) = callers.join_next().await {
            waits.saturating_record(ended??.as_nanos() as u64);
        }
        Ok(waits)
    }

    fn outcome(&self, subject: &str, caches: usize, loader: &Loader, waits: &Histogram<u64>) -> Stampede {
        let ms = |nanos: u64| nanos as f64 / 1e6;
        Stampede {
            subject: subject.to_owned(),
            callers: self.callers,
            caches,
            loads: loader.loads.load(Ordering::Relaxed),
            wait_p50_ms: ms(waits.value_at_quantile(0.5)),
            wait_p99_ms: ms(waits.value_at_quantile(0.99)),
            wait_max_ms: ms(waits.max()),
        }
    }
}

impl Report {
    fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header([
            "subject", "callers", "caches", "loads", "wait p50", "wait p99", "longest",
        ]);
        for stampede in &self.stampedes {
            table.add_row([
                stampede.subject.clone(),
                stampede.callers.to_string(),
                stampede.caches.to_string(),
                stampede.loads.to_string(),
                format!("{:.1} ms", stampede.wait_p50_ms),
                format!("{:.1} ms", stampede.wait_p99_ms),
                format!("{:.1} ms", stampede.wait_max_ms),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        format!("{}; a load takes {} ms\n{table}", self.machine, self.load_ms)
    }
}
