//! A process that dies at every point where it waits: before a claim, after it, in a commit, between a commit and its
//! acknowledgement. What it had accepted is in the source once another process has run, and nothing went backwards.
//!
//! Its store's requests and its commits are counted; at the n-th the process stands still for ever, and its runtime is dropped:
//! every task ends where it waits, as after kill -9. Then the same with n + 1, until it gets through.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_base::{Clock, ManualClock, Random};
use larder_cache::{BoxError, Cache, Change, SharedSink, Sink, SinkError, Source, WritePolicy};
use larder_engine::Engine;
use larder_store::{Fate, Passage, Store, Stuck, Transit};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    behind,
    ledger::Ledger,
    naive::{NaiveBehind, Queue},
};

const KEYS: u64 = 3;
const ROUNDS: u64 = 2;
/// Of the manual clock: a visibility timeout is over in a hundred looks.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Counts to the step at which the process dies.
#[derive(Debug, Default)]
struct Fuse {
    taken: AtomicU64,
    dies_at: u64,
    dead: Notify,
}

impl Fuse {
    async fn step(&self) {
        if self.taken.fetch_add(1, Ordering::SeqCst) == self.dies_at {
            self.dead.notify_one();
            std::future::pending::<()>().await;
        }
        tokio::task::yield_now().await;
    }
}

impl Transit for Fuse {
    fn request<'a>(&'a self, _command: &'a str) -> Passage<'a, Fate> {
        Box::pin(async {
            self.step().await;
            Fate::Arrives
        })
    }

    fn reply<'a>(&'a self, _command: &'a str) -> Passage<'a, ()> {
        Box::pin(self.step())
    }

    fn stuck(&self, _: Stuck) {}
}

/// A source whose commits are steps, too.
struct Mortal(Ledger, Arc<Fuse>);

impl Source<u64, u64> for Mortal {
    async fn load(&self, key: &u64) -> Result<Option<u64>, BoxError> {
        Source::load(&self.0, key).await
    }

    fn sink(&self) -> Option<SharedSink<u64, u64>> {
        Some(SharedSink::new(Self(self.0.clone(), self.1.clone())))
    }
}

impl Sink<u64, u64> for Mortal {
    async fn put(&self, key: &u64, value: &u64) -> Result<(), SinkError> {
        Sink::put(&self.0, key, value).await
    }

    async fn remove(&self, key: &u64) -> Result<bool, SinkError> {
        Sink::remove(&self.0, key).await
    }

    async fn claim_epoch(&self, namespace: &str) -> Result<u64, SinkError> {
        self.1.step().await;
        Sink::claim_epoch(&self.0, namespace).await
    }

    async fn apply(&self, namespace: &str, changes: &[Change<u64, u64>]) -> Result<(), SinkError> {
        self.1.step().await;
        Sink::apply(&self.0, namespace, changes).await?;
        self.1.step().await;
        Ok(())
    }
}

/// What was accepted of a key, and what was under way when the process died.
#[derive(Debug, Default)]
struct Said {
    accepted: BTreeMap<u64, u64>,
    under_way: Option<(u64, u64)>,
}

/// The machine: an engine that outlives the processes, on a clock that moves when nobody has anything to do.
struct Machine {
    engine: Engine,
    hand: ManualClock,
    ledger: Ledger,
}

impl Machine {
    fn new() -> Self {
        let (clock, hand) = Clock::manual();
        Self {
            engine: Engine::builder().clock(clock).random(Random::seeded(1)).build(),
            hand,
            ledger: Ledger::default(),
        }
    }

    /// Lives until it is through or dead; whether it got through.
    fn live(&self, dies_at: u64, life: impl AsyncFnOnce(Store, Arc<Fuse>)) -> bool {
        let fuse = Arc::new(Fuse {
            dies_at,
            ..Fuse::default()
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime can be built").block_on(async {
            let store = Store::embedded_through(self.engine.clone(), Random::seeded(dies_at), fuse.clone());
            tokio::select! {
                biased;
                () = fuse.dead.notified() => false,
                () = life(store, fuse.clone()) => true,
                () = self.let_time_pass() => unreachable!("time does not end"),
            }
        })
    }

    async fn let_time_pass(&self) {
        loop {
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            self.hand
                .advance(self.hand.next_due().unwrap_or_default().max(Duration::from_millis(1)));
        }
    }

    fn lost(&self, said: &Said) -> usize {
        let is_lost = |(key, value): (&u64, &u64)| {
            let row = self.ledger.row(*key);
            row != Some(*value)
                && said
                    .under_way
                    .is_none_or(|(other, next)| other != *key || row != Some(next))
        };
        said.accepted
            .iter()
            .filter(|(key, value)| is_lost((key, value)))
            .count()
    }
}

/// Writes, and does something after each.
async fn write(said: &Mutex<Said>, put: impl AsyncFn(u64, u64) -> bool, then: impl AsyncFn(u64, u64)) {
    for round in 0..ROUNDS {
        for key in 0..KEYS {
            let value = round * 100 + key;
            said.lock().under_way = Some((key, value));
            if put(key, value).await {
                let mut said = said.lock();
                said.under_way = None;
                said.accepted.insert(key, value);
            }
            then(key, value).await;
        }
    }
}

async fn open(machine: &Machine, store: &Store, fuse: Arc<Fuse>) -> Cache<u64, u64> {
    let builder = Cache::builder("behind")
        .store(store)
        .ttl(Duration::from_secs(3600))
        .source(Mortal(machine.ledger.clone(), fuse))
        .write(WritePolicy::Behind(behind().delay(Duration::from_millis(2)).batch(4)));
    builder.build().await.expect("the settings agree")
}

/// Until everything is flushed and acknowledged: looked at as time passes, which it does when nobody has anything to do.
async fn nothing_waits(cache: &Cache<u64, u64>, store: &Store) {
    while cache.lag().await.expect("the engine answers").entries > 0 {
        store.clock().sleep(LOOK_EVERY).await;
    }
}

async fn live_with_larder(machine: &Machine, said: &Mutex<Said>, store: Store, fuse: Arc<Fuse>) {
    let cache = open(machine, &store, fuse).await;
    let put = async |key, value| cache.put(&key, value).await.is_ok();
    // Of two writes the second comes when the first is committed and not yet acknowledged; of others both wait.
    let then = async |key, value| {
        while key % 2 == 1 && machine.ledger.row(key) != Some(value) {
            tokio::task::yield_now().await;
        }
    };
    write(said, put, then).await;
    nothing_waits(&cache, &store).await;
}

/// How many deaths there were, and how many accepted writes were lost over all of them.
fn die_everywhere(life: &impl AsyncFn(&Machine, &Mutex<Said>, Store, Arc<Fuse>)) -> (u64, usize, usize) {
    let (mut lost, mut misordered) = (0, 0);
    for dies_at in 0.. {
        let machine = Machine::new();
        let said = Mutex::new(Said::default());
        let through = machine.live(dies_at, async |store, fuse| life(&machine, &said, store, fuse).await);
        // Another process, which lives.
        assert!(machine.live(u64::MAX, async |store, fuse| finish(&machine, store, fuse).await));
        lost += machine.lost(&said.lock());
        misordered += machine.ledger.misordered().len();
        if through {
            return (dies_at, lost, misordered);
        }
    }
    unreachable!("it gets through in the end")
}

/// The life of a process that writes nothing, and only finishes what it finds.
async fn finish(machine: &Machine, store: Store, fuse: Arc<Fuse>) {
    let naive = NaiveBehind::new(store.clone(), machine.ledger.clone(), Queue::Popped);
    naive.flush_all().await;
    let cache = open(machine, &store, fuse).await;
    nothing_waits(&cache, &store).await;
}

#[test]
fn a_process_that_dies_anywhere_loses_nothing_that_was_accepted() {
    let (deaths, lost, misordered) = die_everywhere(&live_with_larder);
    println!("{deaths} deaths: {lost} lost, {misordered} misordered");
    assert!(deaths > 50, "{deaths}");
    assert_eq!((lost, misordered), (0, 0));
}

#[test]
fn a_queue_that_is_popped_loses_what_was_taken() {
    let (deaths, lost, _) = die_everywhere(&async |machine: &Machine,
                                                   said: &Mutex<Said>,
                                                   store: Store,
                                                   _fuse: Arc<Fuse>| {
        let naive = NaiveBehind::new(store, machine.ledger.clone(), Queue::Popped);
        let put = async |key, value| naive.put(key, value).await;
        write(said, put, async |_, _| {
            naive.flush_once().await;
        })
        .await;
        naive.flush_all().await;
    });
    println!("{deaths} deaths of a popped queue: {lost} lost");
    assert!(lost > 0);
}
