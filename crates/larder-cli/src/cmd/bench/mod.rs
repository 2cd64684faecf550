//! `larder bench`: Larder's own figures, with the machine named. Its peers are measured by `cargo xtask bench`.

mod faces;
mod lab;
mod stampede;

use clap::Subcommand;
use lab::{
    cpu,
    figure::{Figure, Report},
    near::{Larder, Subject, Workload},
    pipeline, store,
};
use larder_base::CacheKey;
use larder_store::Store;

use crate::{context::Context, failure::Outcome, flags::OwnStore, own_keys};

/// Measure Larder on this machine.
///
/// Where others use the machine too, trust the ratios and the CPU per operation rather than the times. What a run puts on a
/// store is removed afterwards.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Hits in this process: a typed value with a TTL through `Cache::get`.
    Near(Rounds),
    /// Hits in the store, against `MGET` and decoding by hand.
    Store(OnStore),
    /// The async face against the blocking one: loads, hits, misses, 1,000 callers, memory.
    Faces(OnStore),
    /// Pipelines of 100 commands against 100 single ones.
    Pipeline(OnStore),
    /// Many callers on one missing key: how often it is loaded, and how long they wait.
    Stampede(stampede::Args),
}

#[derive(Debug, clap::Args)]
struct Rounds {
    /// How often each is measured, in turns; the round in the middle counts.
    #[arg(long, default_value_t = 9, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
}

#[derive(Debug, clap::Args)]
struct OnStore {
    #[command(flatten)]
    store: OwnStore,
    #[command(flatten)]
    rounds: Rounds,
}

pub(crate) async fn run(args: Args, context: &Context) -> Outcome {
    let figures = match args.what {
        What::Near(rounds) => near(rounds.rounds as usize).await?,
        What::Store(on) => store_hits(&on, context).await?,
        What::Faces(on) => return faces::run(&on, context).await,
        What::Pipeline(on) => pipelines(&on, context).await?,
        What::Stampede(args) => return stampede::run(args, context).await,
    };
    let report = Report {
        machine: cpu::machine(),
        figures,
    };
    context.ui.line(report.table());
    context.ui.document(&report);
    Ok(())
}

async fn near(rounds: usize) -> Outcome<Vec<Figure>> {
    let mut figures = near_with("u64", rounds, |id| id).await?;
    figures.extend(near_with("String", rounds, |id| format!("customer:{id:08}")).await?);
    Ok(figures)
}

async fn near_with<K: CacheKey>(key_name: &str, rounds: usize, key: impl Fn(u64) -> K) -> Outcome<Vec<Figure>> {
    let workload = Workload::new(key);
    let namespace = format!("bench-{}", key_name.to_ascii_lowercase());
    let store = Store::open("embedded:").await?;
    let larder = Larder::filled("larder Cache::get", &store, &namespace, &workload.keys).await?;
    let subjects: [Box<dyn Subject<K>>; 1] = [Box::new(larder)];
    let mut figures = Vec::new();
    for (threads, words) in [(1, "1 thread"), (2, "2 threads")] {
        let case = format!("near hit, {key_name} key, {words}");
        figures.extend(workload.run(&case, &subjects, threads, rounds, None));
    }
    Ok(figures)
}

async fn store_hits(on: &OnStore, context: &Context) -> Outcome<Vec<Figure>> {
    let store = on.store.open().await?;
    // A namespace of its own: nothing of a live cache is read or changed.
    let namespace = format!("bench-{:016x}", context.random.next_u64());
    let work = async {
        let hand = by_hand(&on.store.store, &store).await?;
        Ok(store::run(&store, &namespace, hand, "store hit", on.rounds.rounds as usize, &[]).await?)
    };
    let figures = own_keys::removed_after(context, std::slice::from_ref(&store), &namespace, work).await?;
    store.close().await;
    Ok(figures)
}

/// What reads by hand go through: a connection of the bare client library where a URL names a server, else the store.
async fn by_hand(url: &str, store: &Store) -> Outcome<store::Hand> {
    if store.is_embedded() || url == "env:" {
        return Ok(store::Hand::Store(store.clone()));
    }
    let client = redis::Client::open(url)?;
    Ok(store::Hand::Redis(client.get_multiplexed_async_connection().await?))
}

async fn pipelines(on: &OnStore, context: &Context) -> Outcome<Vec<Figure>> {
    let store = on.store.open().await?;
    let work = async { Ok(pipeline::run(&store, "GET", on.rounds.rounds as usize).await?) };
    let figures = own_keys::removed_after(context, std::slice::from_ref(&store), pipeline::PREFIX, work).await?;
    store.close().await;
    Ok(figures)
}
