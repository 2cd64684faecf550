//! `larder verify`: looks for stale reads in a cache under random reads, writes and faults.

mod build;
mod faults;
mod ledger;
mod member;
mod queue;
mod report;
mod seat;
mod server;
mod setup;
mod subject;

use std::{sync::Arc, time::Duration};

use larder_base::Random;
use larder_store::Store;
use larder_testkit::{
    history::Bounds,
    naive::{CacheAside, LockAroundLoad},
    verify::{self, ByHand, Fault, Plan, Subject},
};

use self::{
    build::Build,
    faults::Trouble,
    ledger::Ledger,
    queue::{MakeCache, Queue, Turns},
    report::Verdict,
    seat::{Open, Seat},
    server::PrivateServer,
    setup::Setup,
    subject::Larder,
};
use crate::{
    context::Context,
    failure::{Failure, Outcome},
    flags::{self, OwnStore},
    own_keys::{self, OwnKeys},
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
    /// (the server, which comes back empty, or with --write behind from its log), pause (the server stands still for up to
    /// 1.5 s), crash (a process is killed in the middle; with --write behind).
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
    /// How writers write: invalidate (commit, then invalidate by key, by tag, or clear), around (put: commit, then
    /// invalidate), through (put: commit under a hold, then store what was committed), behind (put: accepted by the store,
    /// committed later to a table in SQLite).
    #[arg(long, value_enum, default_value_t = Write::Invalidate)]
    write: Write,
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
enum Write {
    Invalidate,
    Around,
    Through,
    Behind,
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
        Some(kind) => Some(PrivateServer::start(kind, args.write == Write::Behind).await?),
        None => None,
    };
    let url = server.as_ref().map_or(args.store.store.clone(), PrivateServer::url);
    let (own, seats) = seats(&OwnStore { store: url }, &args, context, &random).await?;
    let trouble = Trouble::new(own, &seats, server, context, &random).sparing_writes(args.write == Write::Behind);
    let plan = Plan {
        ops: args.ops,
        faults: args.faults.clone(),
        fault_every: if args.faults.iter().any(|fault| is_slow(*fault)) {
            SERVER_FAULT_EVERY
        } else {
            FAULT_EVERY
        },
        watched: Some(trouble.own_keys().0.clone()),
        ..Plan::default()
    };
    let setup = Setup::new(&args, trouble.own_keys().0, seed);
    context.ui.line(&setup);
    let runner = Runner {
        args: &args,
        plan: &plan,
        seats: &seats,
        trouble: &trouble,
        context,
        random: &random,
    };
    let work = runner.all();
    let (own, prefix) = trouble.own_keys();
    let verdicts = if args.server.is_some() {
        // It goes with all that is in it.
        own_keys::until_stopped(context, work).await?
    } else {
        let mut keys = OwnKeys::new(context, std::slice::from_ref(own), prefix);
        let done = own_keys::until_stopped(context, work).await;
        // Who was killed has no connection any more.
        keys.made_through_too(seats.iter().map(|seat| seat.store()));
        let removed = keys.remove().await;
        let done = done?;
        removed?;
        done
    };
    report::finish(context, &verdicts, &setup)
}

/// Whether a fault is one of the server itself.
const fn of_server(fault: Fault) -> bool {
    matches!(fault, Fault::Kill | Fault::Pause)
}

/// Whether it takes time to get over a fault.
const fn is_slow(fault: Fault) -> bool {
    of_server(fault) || matches!(fault, Fault::Crash)
}

/// Whether a fault may take a writer's hold with it, which no strict write survives that dies at the same time.
const fn loses_holds(fault: Fault) -> bool {
    matches!(fault, Fault::Evict | Fault::Flush | Fault::Kill)
}

/// Refuses what cannot be promised, and faults that cannot be made there.
fn check(args: &Args) -> Outcome {
    let lost = args.faults.iter().find(|fault| loses_holds(**fault));
    if let (Promise::Strict, Some(fault)) = (args.consistency, lost) {
        return Err(Failure::usage(format_args!(
            "`--faults {fault}` loses holds, and a strict write is promised nothing then"
        ))
        .hint("leave it out, or use --consistency bounded"));
    }
    let is_behind = args.write == Write::Behind;
    if is_behind && args.consistency == Promise::Strict {
        return Err(Failure::usage(
            "`--consistency strict` waits before a commit, and with `--write behind` nobody waits for it",
        )
        .hint("use --consistency bounded"));
    }
    if is_behind && args.faults.contains(&Fault::Flush) {
        return Err(Failure::usage(
            "`--faults flush` loses what waits to be written, and `--write behind` is promised nothing then",
        )
        .hint("leave it out; evict spares what waits"));
    }
    if !is_behind && args.faults.contains(&Fault::Crash) {
        return Err(
            Failure::usage("`--faults crash` kills writers between a commit and its invalidation, which leaves the old value until its TTL")
                .hint("use --write behind, or leave it out"),
        );
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

/// One connection, and one more for each process.
async fn seats(store: &OwnStore, args: &Args, context: &Context, random: &Random) -> Outcome<(Store, Vec<Arc<Seat>>)> {
    let config = store.config()?.clock(context.clock.clone()).random(random.clone());
    let own = OwnStore::connect(config.clone()).await?;
    let open = match own.engine() {
        Some(engine) => Open::Engine(engine.clone()),
        None => Open::Server(config.into()),
    };
    let mut seats = Vec::new();
    for _ in 0..args.processes {
        seats.push(Seat::new(&context.clock, open.clone(), args.faults.contains(&Fault::Crash)).await?);
    }
    Ok((own, seats))
}

/// Everything that a run needs.
struct Runner<'a> {
    args: &'a Args,
    plan: &'a Plan,
    seats: &'a [Arc<Seat>],
    trouble: &'a Trouble,
    context: &'a Context,
    random: &'a Random,
}

impl Runner<'_> {
    /// Verifies what was asked for, one after another.
    async fn all(&self) -> Outcome<Vec<Verdict>> {
        let mut verdicts = Vec::new();
        for baseline in [Baseline::Naive, Baseline::Lock, Baseline::Larder] {
            if !self.args.baseline.includes(baseline) {
                continue;
            }
            let namespace = self.trouble.namespace();
            let ledger = match self.args.write {
                Write::Behind => Some(Ledger::open(&namespace, &self.context.clock, self.random).await?),
                _ => None,
            };
            let verdict = match baseline {
                Baseline::Naive => Verdict::new("naive", self.by_hand(&namespace, ledger, aside).await),
                Baseline::Lock => Verdict::new("lock", self.by_hand(&namespace, ledger, lock).await),
                Baseline::Larder | Baseline::All => self.larder(&namespace, ledger).await?,
            };
            self.context.ui.line(&verdict);
            verdicts.push(verdict);
        }
        Ok(verdicts)
    }

    async fn larder(&self, namespace: &str, ledger: Option<Ledger>) -> Outcome<Verdict> {
        let build = Build::new(self.args, namespace, ledger);
        let below = build.below(self.trouble.own_keys().0).await?;
        let mut subjects = Vec::new();
        for seat in self.seats {
            subjects.push(Larder::new(seat, &build, &below).await?);
        }
        let members: Vec<_> = subjects.iter().map(Larder::member).collect();
        let outcome = self.drive(subjects).await;
        Ok(Verdict::new("larder", outcome).with(members.iter().map(|member| member.figures())))
    }

    /// Code by hand, whose cache is made by `make`.
    async fn by_hand(
        &self,
        namespace: &str,
        ledger: Option<Ledger>,
        make: fn(&Store, &str) -> ByHand,
    ) -> verify::Outcome {
        if let Some(ledger) = ledger {
            let turns = Turns::new(self.plan.keys);
            let queue = |seat| {
                let namespace = namespace.to_owned();
                let cache: MakeCache = Box::new(move |store| make(store, &namespace));
                (seat, cache)
            };
            let queues = self.seats.iter().map(queue);
            let queues = queues.map(|(seat, cache)| Queue::new(seat, cache, &ledger, &turns, namespace));
            return self.drive(queues.collect()).await;
        }
        let caches = self.seats.iter().map(|seat| make(&seat.store(), namespace));
        if self.args.write == Write::Through {
            self.drive(caches.map(ByHand::storing).collect()).await
        } else {
            self.drive(caches.collect()).await
        }
    }

    async fn drive<S: Subject>(&self, subjects: Vec<S>) -> verify::Outcome {
        let trouble = self.trouble.clone();
        let make = move |fault| {
            let trouble = trouble.clone();
            async move { trouble.make(fault).await }
        };
        verify::run(
            self.plan,
            subjects,
            self.bounds(),
            &self.context.clock,
            self.random,
            make,
        )
        .await
    }

    fn bounds(&self) -> Bounds {
        let strict = self.args.consistency == Promise::Strict;
        let is_embedded = self.trouble.own_keys().0.is_embedded();
        // On the engine in this process a push comes within the command that changes a key: no copy is ever behind.
        let is_never_behind = strict || is_embedded && self.args.coherence == Coherence::Tracking;
        Bounds {
            near: if is_never_behind {
                Duration::ZERO
            } else {
                self.args.max_staleness
            },
            strict,
            behind: self.args.write == Write::Behind,
            ..Bounds::default()
        }
    }
}

fn aside(store: &Store, namespace: &str) -> ByHand {
    ByHand::new(CacheAside::new(store.clone()), store, namespace)
}

fn lock(store: &Store, namespace: &str) -> ByHand {
    let cache = LockAroundLoad::new(store.clone(), store.clock().clone());
    ByHand::new(cache, store, namespace)
}
