//! One small world per seed: an engine, one or two processes with their networks, readers, writers, misfortune, and a
//! clock that moves when nobody has anything left to do.

use std::{sync::Arc, time::Duration};

use larder_base::{Clock, ManualClock, Random};
use larder_engine::Engine;
use larder_store::Store;
use larder_testkit::Wire;

use super::{
    network::{Faults, Network, Steps},
    rows::{Loader, Rows},
    subject::{Subject, tag_of},
};

/// What may happen in a world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Story {
    pub(crate) processes: usize,
    /// Half of the writes invalidate by tag, else all by key.
    pub(crate) by_tag: bool,
    pub(crate) faults: Faults,
    /// Processes stand still beyond their leases.
    pub(crate) pauses: bool,
    /// M, T0, T1, E or everything is lost.
    pub(crate) losses: bool,
    /// What is invalidated is also written to the log, in the same scripts.
    pub(crate) logged: bool,
}

impl Story {
    /// A healthy store and network: only the order of things is random.
    pub(crate) const fn plain(processes: usize) -> Self {
        Self {
            processes,
            by_tag: false,
            faults: Faults::NONE,
            pauses: false,
            losses: false,
            logged: false,
        }
    }
}

/// What was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    pub(crate) reads: u64,
    pub(crate) stale: u64,
    pub(crate) loads: u64,
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.reads += other.reads;
        self.stale += other.stale;
        self.loads += other.loads;
    }
}

pub(crate) const KEYS: u64 = 2;
const READERS: u64 = 4;
const READS: u64 = 5;
const WRITERS: u64 = 2;
const WRITES: u64 = 3;
const MISFORTUNES: u64 = 4;

/// Beyond the lease of 3 s that a cache has by default.
const PAUSE: Duration = Duration::from_secs(4);

/// One process.
#[derive(Clone)]
pub(crate) struct Process<S> {
    pub(crate) subject: S,
    pub(crate) network: Arc<Network>,
}

pub(crate) struct World<S> {
    pub(crate) engine: Engine,
    pub(crate) clock: Clock,
    hand: ManualClock,
    pub(crate) random: Random,
    pub(crate) steps: Steps,
    pub(crate) rows: Rows,
    story: Story,
    pub(crate) processes: Vec<Process<S>>,
}

impl<S: Subject> World<S> {
    /// Opens the subject of every process with `open`.
    pub(crate) async fn new(random: Random, story: Story, open: impl AsyncFn(Store, &Random, Story) -> S) -> Self {
        let (clock, hand) = Clock::manual();
        let engine = Engine::builder()
            .clock(clock.clone())
            .random(Random::seeded(random.next_u64()))
            .build();
        let steps = Steps::default();
        let mut processes = Vec::new();
        for _ in 0..story.processes {
            let network = Network::new(Random::seeded(random.next_u64()), story.faults, steps.clone());
            let own = Random::seeded(random.next_u64());
            let store = Store::embedded_through(engine.clone(), own, network.clone());
            processes.push(Process {
                subject: open(store, &random, story).await,
                network,
            });
        }
        Self {
            engine,
            clock,
            hand,
            random,
            steps,
            rows: Rows::default(),
            story,
            processes,
        }
    }

    /// Runs the whole story.
    pub(crate) async fn run(&self) -> Seen {
        let mut readers = Vec::new();
        let mut others = Vec::new();
        for _ in 0..READERS {
            readers.push(tokio::spawn(read(self.process(), self.loader(), self.fork())));
        }
        for _ in 0..WRITERS {
            others.push(tokio::spawn(write(
                self.process(),
                self.rows.clone(),
                self.fork(),
                self.story,
            )));
        }
        let networks = self.processes.iter().map(|process| process.network.clone()).collect();
        let wire = self.story.losses.then(|| Wire::embedded(&self.engine));
        let misfortune = Misfortune {
            networks,
            wire,
            clock: self.clock.clone(),
            random: self.fork(),
            story: self.story,
        };
        others.push(tokio::spawn(misfortune.strike()));
        let everyone = async {
            let mut seen = Seen::default();
            for reader in readers {
                seen += reader.await.expect("a reader does not panic");
            }
            for other in others {
                other.await.expect("a writer does not panic");
            }
            seen.loads = self.rows.loads();
            seen
        };
        self.drive(everyone).await
    }

    /// Does `work` while time moves whenever everyone only waits for it.
    pub(crate) async fn drive<F: Future>(&self, work: F) -> F::Output {
        tokio::select! {
            biased;
            done = work => done,
            () = self.let_time_pass() => unreachable!("time does not end"),
        }
    }

    async fn let_time_pass(&self) {
        /// Turns without anything happening after which everyone waits for time.
        const IDLE: u32 = 20;
        /// So many such waits without an end mean that nobody will ever go on.
        const WAITS_MAX: u32 = 20_000;
        for _ in 0..WAITS_MAX {
            let before = self.steps.count();
            for _ in 0..IDLE {
                tokio::task::yield_now().await;
            }
            if self.steps.count() == before {
                let due = self.hand.next_due().unwrap_or_default();
                self.hand.advance(due.max(Duration::from_millis(1)));
            } else if self.random.below(4) == 0 {
                self.hand.advance(Duration::from_millis(1 + self.random.below(20)));
            }
        }
        panic!("somebody waits for something that never comes");
    }

    fn process(&self) -> Process<S> {
        self.processes[self.random.below(self.processes.len() as u64) as usize].clone()
    }

    pub(crate) fn loader(&self) -> impl Fn(&Process<S>) -> Loader + Send + 'static {
        let (rows, clock, random) = (self.rows.clone(), self.clock.clone(), self.fork());
        move |process| Loader {
            rows: rows.clone(),
            network: process.network.clone(),
            clock: clock.clone(),
            random: random.clone(),
        }
    }

    pub(crate) fn fork(&self) -> Random {
        Random::seeded(self.random.next_u64())
    }
}

async fn dawdle(random: &Random) {
    for _ in 0..random.below(16) {
        tokio::task::yield_now().await;
    }
}

async fn read<S: Subject>(process: Process<S>, loader: impl Fn(&Process<S>) -> Loader + Send, random: Random) -> Seen {
    let mut seen = Seen::default();
    let rows = loader(&process).rows;
    for _ in 0..READS {
        dawdle(&random).await;
        let key = random.below(KEYS);
        let floor = rows.floor(key);
        if let Some(value) = process.subject.read(key, loader(&process)).await {
            seen.reads += 1;
            seen.stale += u64::from(value < floor);
        }
    }
    seen
}

async fn write<S: Subject>(process: Process<S>, rows: Rows, random: Random, story: Story) {
    for _ in 0..WRITES {
        dawdle(&random).await;
        let key = random.below(KEYS);
        let version = rows.commit(key);
        dawdle(&random).await;
        let acknowledged = if story.by_tag && random.below(2) == 0 {
            process.subject.invalidate_tag(&tag_of(key)).await
        } else {
            process.subject.invalidate(key).await
        };
        if acknowledged {
            rows.acknowledge(key, version);
        }
    }
}

/// What befalls a world beside its readers and writers.
struct Misfortune {
    networks: Vec<Arc<Network>>,
    wire: Option<Wire>,
    clock: Clock,
    random: Random,
    story: Story,
}

impl Misfortune {
    async fn strike(mut self) {
        for _ in 0..MISFORTUNES {
            dawdle(&self.random).await;
            let victim = self.networks[self.random.below(self.networks.len() as u64) as usize].clone();
            victim.late_arrival();
            if self.story.pauses && self.random.below(2) == 0 {
                victim.pause(true);
                self.clock.sleep(PAUSE).await;
                victim.pause(false);
            }
            if let Some(wire) = &mut self.wire {
                lose_something(wire, &self.random);
            }
        }
    }
}

/// Deletes keys of one kind, as an eviction would, or everything.
fn lose_something(wire: &mut Wire, random: &Random) {
    if random.below(8) == 0 {
        wire.call(&["FLUSHALL"]).expect("the engine can be emptied");
        return;
    }
    let kind = ["*:m", "*:t0", "*:t1", "*:e:*"][random.below(4) as usize];
    lose(wire, kind);
}

/// Deletes every key that matches `pattern`; how many there were.
pub(crate) fn lose(wire: &mut Wire, pattern: &str) -> usize {
    let keys = wire.call(&["KEYS", pattern]).expect("KEYS cannot fail");
    for key in keys.list() {
        wire.call(&[b"DEL".as_slice(), key.bytes()]).expect("DEL cannot fail");
    }
    keys.list().len()
}
