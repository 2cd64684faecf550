//! `larder verify`: looks for stale reads in a cache under random reads, writes and faults.

mod faults;
mod report;
mod subject;

use larder_base::Random;
use larder_store::Store;
use larder_testkit::{
    history::Bounds,
    naive::{CacheAside, LockAroundLoad},
    verify::{self, ByHand, Fault, Plan},
};

use self::{faults::Trouble, report::Verdict, subject::Larder};
use crate::{
    context::Context,
    failure::{Failure, Outcome},
    flags::OwnStore,
    own_keys,
};

/// Looks for stale reads: random reads and writes from several processes' points of view, under faults.
///
/// Every read, write and load is recorded and checked afterwards: a read is stale if a newer version had been
/// acknowledged as invalidated before it began. The same workload can be given to the cache code that people write by
/// hand. Everything happens under a random prefix, which is removed afterwards. Exit code 1 if a promise was
/// broken, by a baseline too.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    store: OwnStore,
    /// Reads and writes together, for each cache that is verified.
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u64).range(100..=100_000_000))]
    ops: u64,
    /// Seed of the random choices; drawn and printed if it is not given.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Faults to make again and again: evict (a key is lost), flush (all are), disconnect (on a server).
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    faults: Vec<Fault>,
    /// What to verify: larder, naive (get, load, set; delete on a write), lock (a lock round the load), or all.
    #[arg(long, value_enum, default_value_t = Baseline::Larder)]
    baseline: Baseline,
    /// Processes, each with a connection of its own.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    processes: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Baseline {
    Naive,
    Lock,
    Larder,
    All,
}

impl Baseline {
    fn includes(self, other: Self) -> bool {
        self == other || self == Self::All
    }
}

pub(crate) async fn run(args: Args, context: &Context) -> Outcome {
    let seed = args.seed.unwrap_or_else(|| context.random.next_u64() % 1_000_000_000);
    let random = Random::seeded(seed);
    let mut stores = stores(&args, context, &random).await?;
    let own = stores.pop().expect("one more than there are processes");
    let trouble = Trouble::new(own, &stores, context, &random);
    if args.faults.contains(&Fault::Disconnect) && stores.iter().all(Store::is_embedded) {
        return Err(
            Failure::usage("`--faults disconnect` needs connections, and `embedded:` has none")
                .hint("add --store redis://127.0.0.1:6379, or leave `disconnect` out"),
        );
    }
    let plan = Plan {
        ops: args.ops,
        faults: args.faults.clone(),
        ..Plan::default()
    };
    context.ui.line(format_args!(
        "verify: {} operations by {} processes on {}, seed {seed}, faults: {}",
        args.ops,
        args.processes,
        stores[0],
        report::list(&args.faults),
    ));
    let work = all(&args, &plan, &stores, &trouble, context, &random);
    let (own, prefix) = trouble.own_keys();
    let verdicts = own_keys::removed_after(context, own, prefix, work).await?;
    report::finish(context, &verdicts, seed, &args.faults)
}

/// Verifies what was asked for, one after another.
async fn all(
    args: &Args,
    plan: &Plan,
    stores: &[Store],
    trouble: &Trouble,
    context: &Context,
    random: &Random,
) -> Outcome<Vec<Verdict>> {
    let mut verdicts = Vec::new();
    for baseline in [Baseline::Naive, Baseline::Lock, Baseline::Larder] {
        if args.baseline.includes(baseline) {
            let verdict = one(baseline, plan, stores, trouble, context, random).await?;
            context.ui.line(&verdict);
            verdicts.push(verdict);
        }
    }
    Ok(verdicts)
}

/// One connection a process, and one more.
async fn stores(args: &Args, context: &Context, random: &Random) -> Outcome<Vec<Store>> {
    let config = args.store.config()?.clock(context.clock.clone()).random(random.clone());
    let first = OwnStore::connect(config.clone()).await?;
    let mut stores = Vec::new();
    for _ in 0..args.processes {
        let another = match first.engine() {
            Some(engine) => Store::embedded(engine.clone()),
            None => OwnStore::connect(config.clone()).await?,
        };
        stores.push(another);
    }
    stores.insert(0, first);
    Ok(stores)
}

async fn one(
    baseline: Baseline,
    plan: &Plan,
    stores: &[Store],
    trouble: &Trouble,
    context: &Context,
    random: &Random,
) -> Outcome<Verdict> {
    let namespace = trouble.namespace();
    let make = {
        let trouble = trouble.clone();
        move |fault| {
            let trouble = trouble.clone();
            async move { trouble.make(fault).await }
        }
    };
    let clock = &context.clock;
    // On a store that has no near tier every answer is the store's own, so no bound is taken.
    let bounds = Bounds {
        near: std::time::Duration::from_secs(1),
        ..Bounds::default()
    };
    let verdict = match baseline {
        Baseline::Naive => {
            let by_hand = |store: &Store| ByHand::new(CacheAside::new(store.clone()), store, &namespace);
            let subjects = stores.iter().map(by_hand).collect();
            Verdict::new(
                "naive",
                verify::run(plan, subjects, bounds, clock, random, make).await,
                0,
            )
        }
        Baseline::Lock => {
            let lock = |store: &Store| LockAroundLoad::new(store.clone(), clock.clone());
            let subjects = stores
                .iter()
                .map(|store| ByHand::new(lock(store), store, &namespace))
                .collect();
            Verdict::new(
                "lock",
                verify::run(plan, subjects, bounds, clock, random, make).await,
                0,
            )
        }
        Baseline::Larder | Baseline::All => {
            let mut subjects = Vec::new();
            for store in stores {
                subjects.push(Larder::new(store, &namespace).await?);
            }
            let caches: Vec<_> = subjects.iter().map(Larder::cache).collect();
            let outcome = verify::run(plan, subjects, bounds, clock, random, make).await;
            Verdict::new(
                "larder",
                outcome,
                caches.iter().map(|cache| cache.stats().fills_rejected()).sum(),
            )
        }
    };
    Ok(verdict)
}
