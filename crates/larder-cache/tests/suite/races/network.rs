//! The imagined network of one process: every request and every reply takes its time, and some go astray.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use larder_base::Random;
use larder_store::{Fate, Passage, Stuck, Transit};
use parking_lot::Mutex;

/// How often something happened: as long as this moves, nobody waits for time alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steps(Arc<AtomicU64>);

impl Steps {
    pub(crate) fn take(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many of a thousand requests meet which fate.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// The reply is lost: whoever repeats the request repeats something that ran.
    pub(crate) reply_lost: u64,
    /// The request is lost.
    pub(crate) lost: u64,
    /// The request is given up by its sender, and runs later.
    pub(crate) late: u64,
}

impl Faults {
    pub(crate) const fn any(self) -> bool {
        self.reply_lost + self.lost + self.late > 0
    }

    pub(crate) const NONE: Self = Self {
        reply_lost: 0,
        lost: 0,
        late: 0,
    };
    pub(crate) const MANY: Self = Self {
        reply_lost: 60,
        lost: 40,
        late: 60,
    };
}

/// How many turns of the others a request or a reply may take: enough to let a whole operation of another go by.
const TURNS_MAX: u64 = 12;

/// One process's way to the store.
#[derive(Debug)]
pub(crate) struct Network {
    random: Random,
    faults: Faults,
    steps: Steps,
    paused: AtomicBool,
    stuck: Mutex<Vec<Stuck>>,
}

impl Network {
    pub(crate) fn new(random: Random, faults: Faults, steps: Steps) -> Arc<Self> {
        let paused = AtomicBool::new(false);
        Arc::new(Self {
            random,
            faults,
            steps,
            paused,
            stuck: Mutex::new(Vec::new()),
        })
    }

    /// A SIGSTOP and its SIGCONT: nothing leaves, nothing arrives.
    pub(crate) fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    /// Lets one stuck request arrive, the oldest or the youngest.
    pub(crate) fn late_arrival(&self) {
        let mut stuck = self.stuck.lock();
        if stuck.is_empty() {
            return;
        }
        let which = if self.random.below(2) == 0 { 0 } else { stuck.len() - 1 };
        let request = stuck.remove(which);
        drop(stuck);
        self.steps.take();
        request.arrive();
    }

    /// Takes a random number of turns, and as long as the process is paused.
    pub(crate) async fn travel(&self) {
        for _ in 0..self.random.below(TURNS_MAX) {
            tokio::task::yield_now().await;
        }
        while self.paused.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
        self.steps.take();
    }

    fn fate(&self) -> Fate {
        let Faults { reply_lost, lost, late } = self.faults;
        match self.random.below(1_000) {
            n if n < reply_lost => Fate::ReplyLost,
            n if n < reply_lost + lost => Fate::Lost,
            n if n < reply_lost + lost + late => Fate::Late,
            _ => Fate::Arrives,
        }
    }
}

impl Transit for Network {
    fn request<'a>(&'a self, _command: &'a str) -> Passage<'a, Fate> {
        Box::pin(async {
            self.travel().await;
            self.fate()
        })
    }

    fn reply<'a>(&'a self, _command: &'a str) -> Passage<'a, ()> {
        Box::pin(self.travel())
    }

    fn stuck(&self, request: Stuck) {
        self.stuck.lock().push(request);
    }
}
