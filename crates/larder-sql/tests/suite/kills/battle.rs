//! A run: writes, kills, and the count at the end.

use std::{collections::BTreeMap, fmt, time::Duration};

use larder_base::{Clock, Random};
use larder_testkit::{Case, eventually, worker::Worker};

use super::{
    ledger::{Ledger, Said, misordered},
    medium::Medium,
    naive::{Naive, Queue},
    process::{ENTRY, How, Job, LONG, Role, open, store, table},
};

/// Those who flush, where they are processes of their own.
const FLUSHERS: usize = 2;
/// Numbers for the writes of one process.
const NUMBERS: i64 = 1_000_000;
/// Without any accepted write for so long, something hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Victim {
    Writer,
    Flusher,
    Store,
    Database,
}

/// What a run came to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) accepted: u64,
    killed: BTreeMap<Victim, u64>,
    /// Keys without their last accepted write, and counters that are wrong.
    pub(super) lost: Vec<i64>,
    /// Keys that went backwards.
    pub(super) misordered: Vec<i64>,
}

impl Outcome {
    pub(super) fn kills(&self) -> u64 {
        self.killed.values().sum()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kills = self.kills();
        let (lost, misordered) = (self.lost.len(), self.misordered.len());
        write!(
            f,
            "{} accepted, {kills} kills {:?}: {lost} lost, {misordered} misordered",
            self.accepted, self.killed
        )?;
        let shown = |keys: &[i64]| keys.iter().take(5).map(i64::to_string).collect::<Vec<_>>().join(" ");
        if lost + misordered > 0 {
            write!(
                f,
                " (lost {} .., misordered {} ..)",
                shown(&self.lost),
                shown(&self.misordered)
            )?;
        }
        Ok(())
    }
}

pub(super) struct Battle {
    medium: Medium,
    how: How,
    case: Case,
    random: Random,
    writer: Option<Worker>,
    flushers: Vec<Worker>,
    /// Processes that have written.
    writers: i64,
    ledger: Ledger,
    killed: BTreeMap<Victim, u64>,
}

impl Battle {
    pub(super) fn new(medium: Medium, how: How, seed: u64) -> Self {
        let case = Case::each(1, seed).next().expect("there is one");
        Self {
            medium,
            how,
            random: case.random(),
            case,
            writer: None,
            flushers: Vec::new(),
            writers: 0,
            ledger: Ledger::new(),
            killed: BTreeMap::new(),
        }
    }

    /// Until so many writes were accepted and so many were killed.
    pub(super) async fn fight(mut self, writes: u64, kills: u64) -> Outcome {
        self.writer = Some(self.recruit_writer());
        if self.medium.has_servers() {
            self.flushers = (0..FLUSHERS).map(|_| self.recruit(Role::Flushes, 0)).collect();
        }
        let mut deck = Vec::new();
        for kill in 1..=kills {
            // Anywhere in the run's share of this kill, so that all of them together meet everything.
            let share = writes / (kills + 1);
            self.listen(share * kill - self.random.below(share.max(2) / 2)).await;
            if deck.is_empty() {
                deck = self.deck();
            }
            let victim = deck.swap_remove(self.random.below(deck.len() as u64) as usize);
            self.kill(victim).await;
        }
        self.listen(writes).await;
        self.end().await
    }

    /// Whom the next kills take, each at least once.
    fn deck(&self) -> Vec<Victim> {
        if self.medium.has_servers() {
            vec![
                Victim::Writer,
                Victim::Writer,
                Victim::Flusher,
                Victim::Flusher,
                Victim::Store,
                Victim::Database,
            ]
        } else {
            vec![Victim::Writer]
        }
    }

    fn recruit_writer(&mut self) -> Worker {
        self.writers += 1;
        let role = if self.medium.has_servers() {
            Role::Writes
        } else {
            Role::Both
        };
        self.recruit(role, self.writers * NUMBERS)
    }

    fn recruit(&self, role: Role, from: i64) -> Worker {
        let job = Job {
            how: self.how,
            role,
            store: self.medium.store.clone(),
            database: self.medium.database.clone(),
            from,
        };
        let mut worker = Worker::start(ENTRY, &job);
        worker.go();
        worker
    }

    /// Until `accepted` writes were, in all.
    async fn listen(&mut self, accepted: u64) {
        let clock = Clock::system();
        let mut until = clock.monotonic() + PATIENCE;
        while self.ledger.accepted < accepted {
            let writer = self.writer.as_mut().expect("somebody writes");
            match writer.next_within::<Said>(Duration::from_millis(100)) {
                Some(said) => {
                    self.ledger.note(said);
                    until = clock.monotonic() + PATIENCE;
                }
                None => assert!(
                    clock.monotonic() < until,
                    "nothing was accepted for {PATIENCE:?}: {:?}",
                    self.case
                ),
            }
        }
    }

    async fn kill(&mut self, victim: Victim) {
        *self.killed.entry(victim).or_default() += 1;
        match victim {
            Victim::Writer => {
                self.end_writer();
                self.writer = Some(self.recruit_writer());
            }
            Victim::Flusher => {
                let place = self.random.below(FLUSHERS as u64) as usize;
                self.flushers[place].kill();
                self.flushers[place] = self.recruit(Role::Flushes, 0);
            }
            Victim::Store => self.medium.kill_store().await,
            Victim::Database => self.medium.kill_database().await,
        }
    }

    fn end_writer(&mut self) {
        let mut writer = self.writer.take().expect("somebody writes");
        writer.kill();
        while let Some(said) = writer.next_record() {
            self.ledger.note(said);
        }
    }

    /// Ends all, finishes what is left, and looks at the database.
    async fn end(mut self) -> Outcome {
        self.end_writer();
        self.flushers.iter_mut().for_each(Worker::kill);
        let store = store(&self.medium.store).await;
        let table = table(&self.medium.database).await;
        if self.how == How::Popped {
            let queue = Queue::Popped(store.clone());
            let naive = Naive {
                queue,
                table: table.clone(),
            };
            while naive.flush_once().await > 0 {}
        }
        if self.how == How::Larder {
            let cache = open(&store, table, true, LONG).await;
            eventually(PATIENCE, async || cache.lag().await.is_ok_and(|lag| lag.entries == 0)).await;
            assert_eq!(cache.dead_letters().await.expect("the store answers"), []);
            let drained = cache.drain(PATIENCE).await;
            assert!(drained.is_complete, "{drained:?}");
        }
        let (rows, history) = (self.medium.rows().await, self.medium.history().await);
        let mut backwards = misordered(&history);
        backwards.extend(&self.ledger.out_of_order);
        let (lost, misordered) = match self.how {
            How::Larder => {
                let mut lost = self.ledger.lost(&rows, &history);
                lost.extend(self.ledger.miscounted(&self.medium.counters().await));
                (lost, backwards)
            }
            _ => (self.ledger.lost_by_number(&rows), Vec::new()),
        };
        Outcome {
            accepted: self.ledger.accepted,
            killed: self.killed,
            lost,
            misordered,
        }
    }
}
