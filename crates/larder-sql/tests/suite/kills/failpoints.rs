//! Processes that die at named points (the failpoints of `larder_base::failpoint`), alone, with Redis, and with PostgreSQL: after
//! each the database has what was accepted (C11), nothing went backwards (C12), and what it refuses is a dead letter.

use std::time::Duration;

use larder_base::failpoint;
use larder_cache::Cache;
use larder_testkit::worker::{self, Worker};
use serde::{Deserialize, Serialize};

use super::{
    ledger::{Ledger, Row, Said, What, misordered},
    medium::Medium,
    process::{LONG, SHORT, open, store, table, write},
    slow::Mood,
};

const ENTRY: &str = "kills::failpoints::dying_process";

/// Every point, and when it is reached for which time a process dies: at the first, where it comes seldom.
const POINTS: &[(&str, u64)] = &[
    ("put unsent", 9),
    ("put unheard", 9),
    ("put accepted", 9),
    ("update unsent", 2),
    ("epoch undrawn", 2),
    ("epoch uncommitted", 2),
    ("epoch drawn", 2),
    ("epoch installed", 2),
    ("claimed", 2),
    ("commit unbegun", 2),
    ("begun", 2),
    ("between statements", 2),
    ("commit unsent", 2),
    ("committed", 2),
    ("ack unheard", 2),
    ("count unheard", 2),
    ("between counts", 1),
    ("given back", 1),
    ("refused for good", 1),
    ("letter unsent", 1),
    ("letter unheard", 1),
    ("draining", 1),
    ("drained", 1),
];

/// Writes of a process, among them one that the database refuses.
const WRITES: i64 = 60;
const POISON_AT: i64 = 20;
/// Writes that are flushed together with it, itself among them.
const FELLOWS: i64 = 6;
/// Keys that are written more than once.
const HOT: i64 = 6;
/// Bounds a hang: on a machine that is busy with much else a single commit takes seconds.
const PATIENCE: Duration = Duration::from_secs(240);

/// Who dies with the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum With {
    Nobody,
    Store,
    Database,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    store: String,
    database: String,
    from: i64,
    point: String,
    nth: u64,
    /// Who is killed first.
    others: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Step {
    Said(Said),
    /// Accepted, though the database will refuse it.
    Poisoned(i64),
    /// It dies now.
    Reached,
    /// It came through alive.
    Ended,
}

#[test]
fn dying_process() {
    let Some(job) = worker::job::<Job>() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime can be built").block_on(job.live());
}

impl Job {
    async fn live(self) {
        let store = store(&self.store).await;
        let table = table(&self.database).await.in_mood(Mood::Moody);
        let cache = open(&store, table, true, SHORT).await;
        worker::ready();
        let others = self.others.clone();
        failpoint::arm(self.point.clone(), self.nth, move || {
            worker::report(&Step::Reached);
            worker::die_with(&others)
        });
        for op in self.from..self.from + WRITES {
            if op == self.from + POISON_AT {
                self.poison(&cache).await;
            }
            if (POISON_AT..POISON_AT + FELLOWS).contains(&(op - self.from)) {
                continue;
            }
            let (key, what) = plan(op);
            worker::report(&Step::Said(Said::Begun { key, op, what }));
            if let Some(said) = write(&cache, key, op, what).await {
                worker::report(&Step::Said(said));
            }
        }
        let _drained = cache.drain(PATIENCE).await;
        worker::report(&Step::Ended);
    }

    /// A row that the database refuses, in one batch with others, which it takes.
    async fn poison(&self, cache: &Cache<i64, Row>) {
        let first = self.from + POISON_AT;
        let row = |op| {
            if op == first {
                Row { a: -1, ..Row::put(op) }
            } else {
                Row::put(op)
            }
        };
        let rows = (first..first + FELLOWS).map(|op| (op, row(op)));
        if cache.put_many(rows).await.is_ok() {
            worker::report(&Step::Poisoned(first));
        }
    }
}

fn plan(op: i64) -> (i64, What) {
    match op % 7 {
        0 | 3 => (op, What::Put),
        1 | 2 => (op / 7 % HOT, What::Put),
        4 => (op / 7 % HOT, What::Update),
        5 => (-1, What::Count(1 + op / 7 % 7)),
        _ => ((op / 7 + 1) % HOT, What::Remove),
    }
}

/// Deaths of one medium, one after the other.
struct Deaths {
    medium: Medium,
    ledger: Ledger,
    poisoned: Vec<i64>,
    deaths: i64,
}

impl Deaths {
    const fn new(medium: Medium) -> Self {
        Self {
            medium,
            ledger: Ledger::new(),
            poisoned: Vec::new(),
            deaths: 0,
        }
    }

    async fn die(&mut self, point: &str, nth: u64, with: With) {
        let what = format!("{point:?} for the {nth}. time, dying with {with:?}");
        if self.medium.has_servers() {
            // Another generation, so that epochs are drawn.
            self.medium.kill_store().await;
        }
        self.deaths += 1;
        let job = Job {
            store: self.medium.store.clone(),
            database: self.medium.database.clone(),
            from: self.deaths * 1_000,
            point: point.to_owned(),
            nth,
            others: match with {
                With::Nobody => vec![],
                With::Store => vec![self.medium.store_pid()],
                With::Database => vec![self.medium.database_pid()],
            },
        };
        let mut process = Worker::start(ENTRY, &job);
        process.go();
        let mut is_reached = false;
        while let Some(step) = process.next_record() {
            match step {
                Step::Said(said) => self.ledger.note(said),
                Step::Poisoned(key) => self.poisoned.push(key),
                Step::Reached => is_reached = true,
                Step::Ended => assert!(is_reached, "{what}: it was not reached"),
            }
        }
        assert!(is_reached, "{what}: the process ended without");
        match with {
            With::Nobody => {}
            With::Store => self.medium.kill_store().await,
            With::Database => self.medium.kill_database().await,
        }
        self.check(&what).await;
    }

    /// Another process finishes what is left; then the database is compared.
    async fn check(&mut self, what: &str) {
        let store = store(&self.medium.store).await;
        let cache = open(&store, table(&self.medium.database).await, false, LONG).await;
        let drained = cache.drain(PATIENCE).await;
        assert!(drained.is_complete, "{what}: {drained:?}");
        let letters = cache.dead_letters().await.expect("the store answers");
        let mut dead: Vec<i64> = letters.iter().filter_map(|letter| letter.key.parse().ok()).collect();
        dead.sort_unstable();
        let is_poison = |key: &i64| key % 1_000 == POISON_AT;
        assert!(
            self.poisoned.iter().all(|key| dead.contains(key)),
            "{what}: {dead:?} of {:?}",
            self.poisoned
        );
        assert!(
            dead.iter().all(is_poison) && dead.windows(2).all(|pair| pair[0] < pair[1]),
            "{what}: {dead:?}"
        );
        let (rows, history) = (self.medium.rows().await, self.medium.history().await);
        let (lost, misordered) = (self.ledger.lost(&rows, &history), misordered(&history));
        assert!(
            lost.is_empty() && misordered.is_empty(),
            "{what}: lost {lost:?}, misordered {misordered:?}"
        );
        let miscounted = self.ledger.miscounted(&self.medium.counters().await);
        assert!(miscounted.is_empty(), "{what}: {miscounted:?}");
        assert!(
            self.ledger.out_of_order.is_empty(),
            "{what}: {:?}",
            self.ledger.out_of_order
        );
    }
}

/// At every point alone; and where there are servers with one of them, in turn, and in a longer run with the other.
async fn die_everywhere(medium: Medium) {
    let name = medium.name();
    let is_long = super::number(super::KILLS_VARIABLE, super::KILLS) > super::KILLS;
    let rounds = match (medium.has_servers(), is_long) {
        (false, _) => 1,
        (true, false) => 2,
        (true, true) => 3,
    };
    let mut deaths = Deaths::new(medium);
    for round in 0..rounds {
        for (place, (point, nth)) in POINTS.iter().enumerate() {
            let with = match (round, (round + place) % 2) {
                (0, _) => With::Nobody,
                (_, 0) => With::Store,
                _ => With::Database,
            };
            deaths.die(point, *nth, with).await;
        }
    }
    let (accepted, poisoned) = (deaths.ledger.accepted, deaths.poisoned.len());
    println!(
        "{name}: {} deaths at {} points, {accepted} accepted, {poisoned} dead letters: 0 lost, 0 misordered",
        deaths.deaths,
        POINTS.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_every_point_before_postgresql_alone_and_with_a_server() {
    let _turn = super::TURN.lock().await;
    die_everywhere(Medium::servers().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_every_point_before_sqlite() {
    let _turn = super::TURN.lock().await;
    die_everywhere(Medium::folder().await).await;
}
