//! A run: processes take locks and work under them, faults strike, and in the end it is counted.

use std::{collections::BTreeMap, fmt, time::Duration};

use larder_base::{Clock, Random};
use larder_testkit::{
    Case, PgServer, eventually,
    history::{Bounds, Event, Held, History, Moment, Report, Window, check},
    worker::Worker,
};

use super::{
    medium::{Medium, Mishap},
    process::{Did, ENTRY, How, Job, KEYS, Said, TTL, now},
    work::Work,
};

const PROCESSES: usize = 4;

/// How long a process stands still: longer than its locks last.
const STANDS_STILL: Duration = TTL.saturating_mul(2);

/// Without any grant for so long, something hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// What strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// SIGSTOP of a process with all that it holds, until others have it.
    Pause,
    /// kill -9 of one.
    Kill,
    Store(Mishap),
}

/// What a run came to.
pub(super) struct Outcome {
    pub(super) report: Report,
    pub(super) lost_updates: i64,
    faults: BTreeMap<Fault, u64>,
    did: BTreeMap<Did, u64>,
}

impl Outcome {
    pub(super) fn faults(&self) -> u64 {
        self.faults.values().sum()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report {
            grants,
            effects,
            violations,
            overlaps_not_judged,
            ..
        } = &self.report;
        write!(
            f,
            "{grants} grants, {effects} effects, {} faults {:?}: {} updates lost, {} violations of C10, {overlaps_not_judged} overlaps \
             where the store forgot; {:?}",
            self.faults(),
            self.faults,
            self.lost_updates,
            violations.len(),
            self.did,
        )
    }
}

/// A process, and what it holds.
struct Process {
    worker: Worker,
    /// By key and grant.
    holds: BTreeMap<(u64, Moment), Held>,
}

pub(super) struct Battle {
    medium: Medium,
    how: How,
    case: Case,
    random: Random,
    database: String,
    work: Work,
    processes: Vec<Process>,
    started: u64,
    granted: u64,
    history: History,
    faults: BTreeMap<Fault, u64>,
    did: BTreeMap<Did, u64>,
}

impl Battle {
    pub(super) async fn new(medium: Medium, how: How, seed: u64) -> Self {
        let case = Case::each(1, seed).next().expect("there is one");
        let database = PgServer::shared().await.database();
        let work = Work::open(&database).await;
        work.prepare(KEYS).await;
        let mut battle = Self {
            medium,
            how,
            random: case.random(),
            case,
            database,
            work,
            processes: Vec::new(),
            started: 0,
            granted: 0,
            history: History::new(),
            faults: BTreeMap::new(),
            did: BTreeMap::new(),
        };
        for _ in 0..PROCESSES {
            let process = battle.recruit();
            battle.processes.push(process);
        }
        battle
    }

    /// Until so many locks were granted and so many faults have struck.
    pub(super) async fn fight(mut self, grants: u64, faults: u64) -> Outcome {
        let mut deck = Vec::new();
        for fault in 1..=faults {
            // Anywhere in the run's share of this fault, so that all of them together meet everything.
            let share = grants / (faults + 1);
            let wanted = share * fault - self.random.below(share.max(2) / 2);
            self.listen(|battle| battle.granted >= wanted).await;
            if deck.is_empty() {
                deck = self.deck();
            }
            let fault = deck.swap_remove(self.random.below(deck.len() as u64) as usize);
            self.strike(fault).await;
        }
        self.listen(|battle| battle.granted >= grants).await;
        self.end().await
    }

    /// What the next faults are, each at least once.
    fn deck(&self) -> Vec<Fault> {
        let store = self.medium.mishaps().iter().map(|mishap| Fault::Store(*mishap));
        store.chain([Fault::Pause, Fault::Pause, Fault::Kill]).collect()
    }

    fn recruit(&mut self) -> Process {
        self.started += 1;
        let job = Job {
            how: self.how,
            store: self.medium.url(),
            database: self.database.clone(),
            seed: self.case.seed() * 1_000 + self.started,
        };
        let mut worker = tokio::task::block_in_place(|| Worker::start(ENTRY, &job));
        worker.go();
        Process {
            worker,
            holds: BTreeMap::new(),
        }
    }

    /// Until `is_enough`.
    async fn listen(&mut self, is_enough: impl Fn(&Self) -> bool) {
        let clock = Clock::system();
        let mut until = clock.monotonic() + PATIENCE;
        while !is_enough(self) {
            if self.hear() > 0 {
                until = clock.monotonic() + PATIENCE;
            } else {
                assert!(
                    clock.monotonic() < until,
                    "nothing happened for {PATIENCE:?}: {:?}",
                    self.case
                );
                clock.sleep(Duration::from_millis(2)).await;
            }
        }
    }

    /// Notes what was said meanwhile, and says how much that was.
    fn hear(&mut self) -> usize {
        let mut heard = 0;
        for process in 0..self.processes.len() {
            while let Some(said) = self.processes[process].worker.next_within::<Said>(Duration::ZERO) {
                self.note(process, said);
                heard += 1;
            }
        }
        heard
    }

    fn note(&mut self, process: usize, said: Said) {
        let holds = &mut self.processes[process].holds;
        match said {
            Said::Granted {
                key,
                fence,
                asked,
                granted,
                until,
            } => {
                self.granted += 1;
                let process = process as u32;
                holds.insert(
                    (key, granted),
                    Held {
                        process,
                        key,
                        fence,
                        asked,
                        granted,
                        until,
                    },
                );
            }
            Said::Ended {
                key,
                granted,
                until,
                did,
            } => {
                let held = holds.remove(&(key, granted)).expect("it was granted");
                self.history.push(Event::Held(Held { until, ..held }));
                *self.did.entry(did).or_default() += 1;
            }
        }
    }

    async fn strike(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
        let process = self.random.below(PROCESSES as u64) as usize;
        match fault {
            Fault::Pause => {
                self.processes[process].worker.pause();
                let until = now() + STANDS_STILL.as_nanos() as Moment;
                self.listen(|_| now() >= until).await;
                self.processes[process].worker.resume();
            }
            Fault::Kill => {
                self.bury(process);
                self.processes[process] = self.recruit();
            }
            Fault::Store(mishap) => {
                let start = now();
                self.medium.suffer(mishap, &self.work, &self.random).await;
                let window = Window::LostLeases { start, end: now() };
                self.history.push(Event::Window(window));
            }
        }
    }

    /// Kills a process. What it held it goes on holding for its time: that was promised. A connection ends with its process.
    fn bury(&mut self, process: usize) {
        self.processes[process].worker.kill();
        while let Some(said) = self.processes[process].worker.next_record::<Said>() {
            self.note(process, said);
        }
        let holds = std::mem::take(&mut self.processes[process].holds);
        let is_lease = self.how != How::Postgres;
        let last = holds.into_values().map(|held| Held {
            until: if is_lease { held.until } else { held.granted },
            ..held
        });
        self.history.extend(last.map(Event::Held));
    }

    /// Ends all, and looks at the database.
    async fn end(mut self) -> Outcome {
        for process in 0..PROCESSES {
            self.bury(process);
        }
        eventually(PATIENCE, async || self.work.is_alone().await).await;
        let is_fenced = self.how != How::SetNx;
        // Without fences the order of effects says nothing; what was lost does.
        let effects = self.work.effects().await.into_iter().filter(|_| is_fenced);
        self.history.extend(effects.map(Event::Effect));
        Outcome {
            report: check(&self.history, &Bounds::default()),
            lost_updates: self.work.lost_updates().await,
            faults: self.faults,
            did: self.did,
        }
    }
}
