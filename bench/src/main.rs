//! Larder and its peers, side by side in one run.
//!
//! `cargo xtask bench` runs everything; `cargo xtask bench near --json` one group, as JSON. How it is measured is told
//! in the files that this program shares with the `larder` command. The store is a private redis-server.

#[path = "../../crates/larder-cli/src/cmd/bench/lab/mod.rs"]
mod lab;
mod allocations;
mod peers;

use clap::{Parser, ValueEnum};
use lab::{
    cpu,
    figure::{Figure, Report},
    near::{Larder, Subject, Workload},
    pipeline, store,
};
use larder_base::CacheKey;
use larder_store::Store;
use larder_testkit::RedisServer;
use peers::{MokaFuture, PapayaMap, QuickCache};

/// Larder and its peers, side by side in one run.
#[derive(Debug, Parser)]
#[command(name = "larder-bench")]
struct Args {
    /// What to measure; everything if nothing is named.
    #[arg(value_enum)]
    groups: Vec<Group>,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
    /// Rounds of each subject; the middle one counts.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Group {
    /// Hits in process.
    Near,
    /// Hits in redis-server.
    Store,
    /// Pipelines of 100 against single commands.
    Pipeline,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let wanted = |group| args.groups.is_empty() || args.groups.contains(&group);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut figures = Vec::new();
    if wanted(Group::Near) {
        figures.extend(near(&runtime, args.rounds, "u64", |id| id)?);
        figures.extend(near(&runtime, args.rounds, "String", |id| format!("customer:{id:08}"))?);
    }
    if wanted(Group::Store) || wanted(Group::Pipeline) {
        let redis = runtime.block_on(RedisServer::start());
        if wanted(Group::Store) {
            figures.extend(runtime.block_on(store_hits(&redis, args.rounds))?);
        }
        if wanted(Group::Pipeline) {
            figures.extend(runtime.block_on(pipelines(&redis, args.rounds))?);
        }
    }
    print(&args, figures)
}

fn print(args: &Args, figures: Vec<Figure>) -> anyhow::Result<()> {
    let report = Report {
        machine: cpu::machine(),
        figures,
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", report.table());
    }
    Ok(())
}

fn near<K: CacheKey>(
    runtime: &tokio::runtime::Runtime,
    rounds: usize,
    key_name: &str,
    key: impl Fn(u64) -> K,
) -> anyhow::Result<Vec<Figure>> {
    let workload = Workload::new(key);
    let keys = &workload.keys;
    let namespace = format!("bench-{}", key_name.to_ascii_lowercase());
    let subjects: [Box<dyn Subject<K>>; 4] = [
        Box::new(QuickCache::filled(keys)),
        Box::new(runtime.block_on(Larder::filled(&namespace, keys))?),
        Box::new(runtime.block_on(MokaFuture::filled(keys))),
        Box::new(PapayaMap::filled(keys)),
    ];
    let mut figures = Vec::new();
    for threads in [1, 2] {
        let case = format!("near hit, {key_name} key, {threads} thread{}", if threads == 1 { "" } else { "s" });
        figures.extend(workload.run(&case, &subjects, threads, rounds, Some(allocations::of_thread)));
    }
    Ok(figures)
}

async fn store_hits(redis: &RedisServer, rounds: usize) -> anyhow::Result<Vec<Figure>> {
    let store = Store::open(&redis.url()).await?;
    let client = redis::Client::open(redis.url())?;
    let hand = client.get_multiplexed_async_connection().await?;
    let bench = store::Bench::filled(&store, "bench-store", store::Hand::Redis(hand)).await?;
    let mut figures = Vec::new();
    for tasks in [1, 16] {
        figures.extend(bench.run("store hit, redis-server", tasks, rounds).await?);
    }
    bench.clear().await?;
    store.close().await;
    Ok(figures)
}

async fn pipelines(redis: &RedisServer, rounds: usize) -> anyhow::Result<Vec<Figure>> {
    let store = Store::open(&redis.url()).await?;
    let figures = pipeline::run(&store, "GET, redis-server", rounds).await?;
    store.close().await;
    Ok(figures)
}
