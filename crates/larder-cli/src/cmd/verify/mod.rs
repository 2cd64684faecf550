//! `larder verify`: looks for stale reads in a cache under random reads, writes and faults.

mod faults;
mod report;
mod server;
mod setup;
mod subject;

use std::time::Duration;

use larder_base::Random;
use larder_store::Store;
use larder_testkit::{
    history::Bounds,
    naive::{CacheAside, LockAroundLoad},
    verify::{self, ByHand, Fault, Plan},
};

use self::{faults::Trouble, report::Verdict, server::PrivateServer, setup::Setup, subject::Larder};
use crate::{
    context::Context,
    failure::{Failure, Outcome},
    flags::{self, OwnStore},
    own_keys,
};

/// Look for stale reads: random reads and writes from several processes' points of view, under faults.
///
/// Every read, write and load is recorded and checked afterwards: a read is stale if a newer version had been
/// acknowledged as invalidated before it began. The same workload can be given to the cache code that people write by
/// hand. Everything happens under a random prefix, which is removed afterwards. Exit code 1 if a promise was
/// broken, by a baseline too.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    store: OwnStore,
    /// Reads and writes together, done with each cache that --baseline names.
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u64).range(100..=100_000_000))]
    ops: u64,
    /// Seed of the random choices, to make a run again; drawn and printed if it is not given.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Start a private server and verify on that: the faults kill and pause need one of their own.
    #[arg(long, value_enum, conflicts_with = "store")]
    server: Option<server::Kind>,
    /// Faults to make again and again: evict (a key is lost), flush (all are), disconnect (a connection is cut), kill
    /// (the server, which comes back empty), pause (the server stands still for up to 1.5 s).
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    faults: Vec<Fault>,
    /// What to verify: larder, naive (get, load, set; delete on a write), lock (a lock round the load), or all.
    #[arg(long, value_enum, default_value_t = Baseline::Larder)]
    baseline: Baseline,
    /// How far behind a near copy may be, 40ms at least; on `embedded:` none ever is.
    #[arg(long, default_value = "1s", value_name = "SPAN", value_parser = staleness)]
    max_staleness: Duration,
    /// What a write promises: bounded (a commit, then an invalidation), or strict (a commit under a hold, when no near
    /// tier can have an older copy left; then a read is stale if the newer version was visible before it began).
    #[arg(long, value_enum, default_value_t = Promise::Bounded)]
    consistency: Promise,
    /// How the near copies of one process learn what others invalidate.
    #[arg(long, value_enum, default_value_t = Coherence::Tracking)]
    coherence: Coherence,
    /// Processes to stand for, each with a connection and a near tier of its own.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Promise {
    Bounded,
    Strict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Coherence {
    /// The server tells its clients (client tracking in RESP3).
    Tracking,
    /// They read a log of invalidations in the store.
    Log,
}

/// Reads `--max-staleness`.
fn staleness(text: &str) -> Result<Duration, String> {
    match flags::span(text)? {
        short if short < STALENESS_LEAST => Err(format!(
            "must be {STALENESS_LEAST:?} or more: below, no near tier can be proven true often enough"
        )),
        span => Ok(span),
    }
}

impl Baseline {
    fn includes(self, other: Self) -> bool {
        self == other || self == Self::All
    }
}

/// The mean time between two faults; a server needs longer to come back.
const FAULT_EVERY: Duration = Duration::from_millis(20);
const SERVER_FAULT_EVERY: Duration = Duration::from_millis(200);

/// The shortest bound that a near tier takes.
const STALENESS_LEAST: Duration = Duration::from_millis(40);

pub(crate) async fn run(args: Args, context: &Context) -> Outcome {
    let seed = args.seed.unwrap_or_else(|| context.random.next_u64() % 1_000_000_000);
    let random = Random::seeded(seed);
    check(&args)?;
    let server = match args.server {
        Some(kind) => Some(PrivateServer::start(kind).await?),
        None => None,
    };
    let url = server.as_ref().map_or(args.store.store.clone(), PrivateServer::url);
    let mut stores = stores(&OwnStore { store: url }, args.processes, context, &random).await?;
    let own = stores.pop().expect("one more than there are processes");
    let trouble = Trouble::new(own, &stores, server, context, &random);
    let plan = Plan {
        ops: args.ops,
        faults: args.faults.clone(),
        fault_every: if args.faults.iter().any(|fault| of_server(*fault)) {
            SERVER_FAULT_EVERY
        } else {
            FAULT_EVERY
        },
        watched: Some(trouble.own_keys().0.clone()),
        ..Plan::default()
    };
    let setup = Setup::new(&args, &stores[0], seed);
    context.ui.line(&setup);
    let work = all(&args, &plan, &stores, &trouble, context, &random);
    let (own, prefix) = trouble.own_keys();
    let verdicts = if args.server.is_some() {
        // It goes with all that is in it.
        own_keys::until_stopped(context, work).await?
    } else {
        let used = [std::slice::from_ref(own), &stores].concat();
        own_keys::removed_after(context, &used, prefix, work).await?
    };
    report::finish(context, &verdicts, &setup)
}

/// Whether a fault is one of the server itself.
const fn of_server(fault: Fault) -> bool {
    matches!(fault, Fault::Kill | Fault::Pause)
}

/// Whether a fault may take a writer's hold with it, which no strict write survives that dies at the same time.
const fn loses_holds(fault: Fault) -> bool {
    matches!(fault, Fault::Evict | Fault::Flush | Fault::Kill)
}

/// Refuses faults that cannot be made there.
fn check(args: &Args) -> Outcome {
    let lost = args.faults.iter().find(|fault| loses_holds(**fault));
    if let (Promise::Strict, Some(fault)) = (args.consistency, lost) {
        return Err(Failure::usage(format_args!(
            "`--faults {fault}` loses holds, and a strict write is promised nothing then"
        ))
        .hint("leave it out, or use --consistency bounded"));
    }
    if args.server.is_some() {
        return Ok(());
    }
    if let Some(fault) = args.faults.iter().find(|fault| of_server(**fault)) {
        return Err(
            Failure::usage(format_args!("`--faults {fault}` takes a server that is this run's own"))
                .hint("add --server redis or --server larder"),
        );
    }
    if args.faults.contains(&Fault::Disconnect) && args.store.store.starts_with("embedded:") {
        return Err(
            Failure::usage("`--faults disconnect` needs connections, and `embedded:` has none")
                .hint("add --server redis, or --store redis://127.0.0.1:6379, or leave `disconnect` out"),
        );
    }
    Ok(())
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
            let verdict = one(baseline, args, plan, stores, trouble, context, random).await?;
            context.ui.line(&verdict);
            verdicts.push(verdict);
        }
    }
    Ok(verdicts)
}

/// One connection a process, and one more.
async fn stores(store: &OwnStore, processes: u32, context: &Context, random: &Random) -> Outcome<Vec<Store>> {
    let config = store.config()?.clock(context.clock.clone()).random(random.clone());
    let first = OwnStore::connect(config.clone()).await?;
    let mut stores = Vec::new();
    for _ in 0..processes {
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
    args: &Args,
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
    let strict = args.consistency == Promise::Strict;
    // On the engine in this process a push comes within the command that changes a key: no copy is ever behind.
    let is_never_behind = strict || stores[0].is_embedded() && args.coherence == Coherence::Tracking;
    let bounds = Bounds {
        near: if is_never_behind {
            Duration::ZERO
        } else {
            args.max_staleness
        },
        strict,
        ..Bounds::default()
    };
    let verdict = match baseline {
        Baseline::Naive => {
            let by_hand = |store: &Store| ByHand::new(CacheAside::new(store.clone()), store, &namespace);
            let subjects = stores.iter().map(by_hand).collect();
            Verdict::new("naive", verify::run(plan, subjects, bounds, clock, random, make).await)
        }
        Baseline::Lock => {
            let lock = |store: &Store| LockAroundLoad::new(store.clone(), clock.clone());
            let subjects = stores
                .iter()
                .map(|store| ByHand::new(lock(store), store, &namespace))
                .collect();
            Verdict::new("lock", verify::run(plan, subjects, bounds, clock, random, make).await)
        }
        Baseline::Larder | Baseline::All => {
            let below = Larder::new(trouble.own_keys().0, None, &namespace, args).await?;
            let mut subjects = Vec::new();
            for store in stores {
                subjects.push(Larder::new(store, Some(&below), &namespace, args).await?);
            }
            let caches: Vec<_> = subjects.iter().map(Larder::cache).collect();
            let outcome = verify::run(plan, subjects, bounds, clock, random, make).await;
            Verdict::new("larder", outcome).with(&caches)
        }
    };
    Ok(verdict)
}
