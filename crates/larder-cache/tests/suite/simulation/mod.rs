//! Whole processes in a world of memory: stores, connections, near tiers, recovery and all, over a network that breaks in
//! every way, a server that is lost and replaced, and a clock that moves when everyone waits for it.
//!
//! What every process saw is judged by the history checker: T1 and T2 (C1, C2, with the bound that the caches were
//! given), what a rollback may show and for how long (C9), and that all tiers agree with the source at rest (C8).

pub(crate) mod scenes;

use std::{convert::Infallible, sync::Arc, time::Duration};

use larder_base::{Clock, Random};
use larder_cache::{Cache, Coherence, Freshness, Lookup, NewGeneration, Tier};
use larder_testkit::{
    Case,
    history::{Bounds, Rule, Served, Violation},
    sim::{Break, Process, Sea, Snapshot},
    verify::{self, Fault, Invalidated, Outcome, Plan, Rows, Seen, Subject},
};
use parking_lot::Mutex;

/// Worlds of each kind, unless `LARDER_WORLDS` says otherwise.
const WORLDS: u64 = 200;
/// A read of the log is one of 64 streams, so that these worlds take three times as long.
const LOG_WORLDS: u64 = 50;
const WORLDS_VARIABLE: &str = "LARDER_WORLDS";

/// How far behind a near copy may be.
const BOUND: Duration = Duration::from_millis(400);

/// How long after a failover its loss may show: until every process has connected anew and repeated its invalidations.
const ROLLBACK: Duration = Duration::from_secs(8);

/// The tag of every value, where values have one.
const ALL: &str = "all";

const PROCESSES: usize = 3;

/// Reads and writes of a world, unless `LARDER_OPS` says otherwise.
const OPS: u64 = 80;
const OPS_VARIABLE: &str = "LARDER_OPS";

/// A cache as one process holds it.
struct Simulated {
    tagged: bool,
    cache: Cache<u64, u64>,
    clock: Clock,
    random: Random,
}

impl Simulated {
    async fn new(sea: &Sea, process: &Process, story: &Story, random: Random) -> Self {
        let tagged = story.tagged;
        let builder = Cache::builder("sim")
            .store(&process.store)
            .near(100)
            .max_staleness(BOUND)
            .coherence(story.coherence)
            .on_new_generation(story.repair)
            .ttl(Duration::from_secs(60))
            .tags(move |_: &u64| tagged.then_some(ALL));
        Self {
            tagged,
            cache: sea.drive(builder.build()).await.expect("the settings agree"),
            clock: sea.clock().clone(),
            random,
        }
    }

    /// Whoever asks goes on with something else for a while.
    async fn dawdle(&self) {
        self.clock.sleep(Duration::from_millis(self.random.below(40))).await;
    }
}

impl Subject for Simulated {
    async fn read(&self, process: u32, key: u64, rows: &Arc<Rows>) -> Option<Seen> {
        let load = || async move { Ok::<_, Infallible>(rows.load(process, key).await) };
        let found = self.cache.lookup_or_load(&key, load).await.ok();
        self.dawdle().await;
        let found = found?;
        Some(Seen {
            version: **found.value()?,
            served: served(&found),
            overdue: 0,
        })
    }

    async fn invalidate(&self, key: u64, choice: u64) -> Invalidated {
        self.dawdle().await;
        let by_tag = matches!(choice % 10, 1..=3);
        if by_tag && !self.tagged {
            // A tag of others: it concerns the partition and not the value.
            let _other = self.cache.invalidate_tag("other").await;
        }
        let done = match choice % 10 {
            0 => self.cache.clear().await,
            _ if by_tag && self.tagged => self.cache.invalidate_tag(ALL).await,
            _ => self.cache.invalidate(&key).await,
        };
        Invalidated {
            acknowledged: done.is_ok(),
            everything: choice.is_multiple_of(10),
        }
    }

    fn is_settled(&self) -> bool {
        self.cache.stats().pending == 0
    }

    async fn cached(&self, key: u64) -> Vec<(&'static str, u64)> {
        let Ok(found) = self.cache.lookup(&key).await else {
            return Vec::new();
        };
        let tier = if found.tier() == Tier::Near { "near" } else { "store" };
        found.value().map(|version| (tier, **version)).into_iter().collect()
    }
}

fn served(found: &Lookup<u64>) -> Served {
    match (found.freshness(), found.tier()) {
        (Freshness::Stale, _) => Served::Stale,
        (_, Tier::Near) => Served::Near,
        (_, Tier::Source) => Served::Loaded,
        _ => Served::Store,
    }
}

/// What befalls a world.
#[derive(Clone, Copy, Debug)]
struct Story {
    faults: &'static [Fault],
    repair: NewGeneration,
    /// Whether values have a tag.
    tagged: bool,
    coherence: Coherence,
}

const CALM: Story = Story {
    faults: &[],
    repair: NewGeneration::Replay,
    tagged: true,
    coherence: Coherence::Tracking,
};

const ROUGH: Story = Story {
    faults: &[
        Fault::Disconnect,
        Fault::Disconnect,
        Fault::Evict,
        Fault::Flush,
        Fault::Pause,
    ],
    ..CALM
};

const UNTAGGED: Story = Story { tagged: false, ..ROUGH };

const LOGGED: Story = Story {
    coherence: Coherence::Log,
    ..ROUGH
};

const LOST: Story = Story {
    faults: &[Fault::Kill, Fault::Disconnect, Fault::Evict],
    ..CALM
};

const FAILED_OVER: Story = Story {
    faults: &[Fault::Failover, Fault::Disconnect],
    ..CALM
};

/// Makes the faults of one world.
struct Troubles {
    sea: Arc<Sea>,
    processes: Vec<Process>,
    /// What a replica has that stopped following.
    replica: Mutex<Option<Snapshot>>,
    random: Random,
}

impl Troubles {
    async fn make(self: Arc<Self>, fault: Fault) {
        let victim = &self.processes[self.random.below(self.processes.len() as u64) as usize].link;
        match fault {
            Fault::Disconnect => {
                victim.cut([Break::Reset, Break::Strand, Break::Vanish][self.random.below(3) as usize]);
            }
            Fault::Pause => {
                let span = Duration::from_millis(self.random.below(3_000));
                let half_open = self.random.below(2) == 0;
                if half_open {
                    victim.hold_replies(true);
                } else {
                    victim.pause(true);
                }
                self.sea.clock().sleep(span).await;
                victim.pause(false);
            }
            Fault::Evict => self.evict(),
            Fault::Flush => drop(self.sea.wire().call(&["FLUSHALL"])),
            Fault::Kill => self.sea.restart_empty(),
            Fault::Crash => unreachable!("the run kills its own processes"),
            Fault::Failover => {
                let replica = self.replica.lock().take();
                match replica {
                    Some(replica) => self.sea.fail_over(&replica),
                    None => *self.replica.lock() = Some(self.sea.snapshot()),
                }
            }
        }
        if self.random.below(4) == 0 {
            self.sea.step_wall(1 - 2 * self.random.below(2) as i64);
        }
    }

    /// Any key goes, as under memory pressure.
    fn evict(&self) {
        let mut wire = self.sea.wire();
        let keys = wire.call(&["KEYS", "*"]).expect("the engine answers");
        let keys = keys.list();
        if !keys.is_empty() {
            let key = keys[self.random.below(keys.len() as u64) as usize].bytes();
            wire.call(&[b"DEL".as_slice(), key]).expect("the engine answers");
        }
    }
}

/// Plays one world.
async fn play(random: Random, story: Story, ops: u64) -> Outcome {
    let sea = Arc::new(Sea::new(&random));
    let mut processes = Vec::new();
    let mut subjects = Vec::new();
    for _ in 0..PROCESSES {
        let process = sea.process().await.expect("the server accepts");
        let own = Random::seeded(random.next_u64());
        subjects.push(Simulated::new(&sea, &process, &story, own).await);
        processes.push(process);
    }
    let plan = Plan {
        ops,
        keys: 2,
        readers: 2,
        writers: 1,
        reads_per_write: 6,
        load_delay: Duration::from_millis(20),
        faults: story.faults.to_vec(),
        fault_every: Duration::from_millis(150),
        ..Plan::default()
    };
    let bounds = Bounds {
        near: BOUND,
        rollback: ROLLBACK,
        ..Bounds::default()
    };
    let troubles = Arc::new(Troubles {
        sea: sea.clone(),
        processes,
        replica: Mutex::default(),
        random: Random::seeded(random.next_u64()),
    });
    let make = move |fault| troubles.clone().make(fault);
    let run = verify::run(&plan, subjects, bounds, sea.clock(), &random, make);
    sea.drive(run).await
}

/// What must hold whatever happens. Loads may overlap (C7) where leases or the server are lost, which is nearly always here.
/// And while a write is on its way, a process may read it and then once more what was there before (C5): a loader that
/// sees the new row and whose fill is refused has it, the store has what another loaded a moment earlier.
fn judge(outcome: &Outcome) {
    let broken: Vec<_> = broken(outcome).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(outcome.at_rest.is_empty(), "at rest: {:#?}", outcome.at_rest);
}

fn broken(outcome: &Outcome) -> impl Iterator<Item = &Violation> {
    let violations = outcome.report.violations.iter();
    violations.filter(|violation| ![Rule::C5, Rule::C7].contains(&violation.rule))
}

fn worlds(story: Story) {
    let usual = if story.coherence == Coherence::Log {
        LOG_WORLDS
    } else {
        WORLDS
    };
    let count = number(WORLDS_VARIABLE).unwrap_or(usual);
    let ops = number(OPS_VARIABLE).unwrap_or(OPS);
    let (mut reads, mut late, mut faults) = (0, 0, 0);
    for case in Case::each(count, 1) {
        let outcome = world(case.random(), story, ops);
        judge(&outcome);
        reads += outcome.report.reads;
        late += outcome.report.late_reads;
        faults += outcome.faults;
    }
    println!("{story:?}: {count} worlds, {reads} reads, {late} of them late within their bound, {faults} faults");
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

fn world(random: Random, story: Story, ops: u64) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime can be built");
    runtime.block_on(play(random, story, ops))
}

#[test]
fn nothing_is_stale_beyond_its_bound_in_calm_worlds() {
    worlds(CALM);
}

#[test]
fn nothing_is_stale_beyond_its_bound_in_rough_worlds() {
    worlds(ROUGH);
    worlds(UNTAGGED);
}

#[test]
fn nothing_is_stale_beyond_its_bound_where_the_server_is_lost() {
    worlds(LOST);
}

/// The log instead of pushes: also where a replica takes over whose log lacks the end.
#[test]
fn nothing_is_stale_beyond_its_bound_where_a_log_keeps_copies_true() {
    worlds(LOGGED);
    worlds(Story {
        coherence: Coherence::Log,
        ..FAILED_OVER
    });
}

#[test]
fn what_a_failover_lost_is_repaired_in_time() {
    worlds(FAILED_OVER);
    worlds(Story {
        repair: NewGeneration::Fence,
        ..FAILED_OVER
    });
}
