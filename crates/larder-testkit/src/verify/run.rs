//! Driving the subjects.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_base::{Clock, Random, Tasks};

use super::{
    Fault, Plan, Rows, Subject, Written,
    watch::{Losses, watch},
};
use crate::history::{
    Bounds, Copy, Event, Mismatch, Moment, Read, Report, Window, Write, check, compare_at_rest, lost_writes,
};

/// What a run found.
#[derive(Debug)]
pub struct Outcome {
    /// The rules, over all that happened.
    pub report: Report,
    /// Tiers that disagreed with the source when all was quiet.
    pub at_rest: Vec<Mismatch>,
    /// Invalidations that were not acknowledged.
    pub pending: u64,
    /// Reads that were not answered.
    pub unanswered: u64,
    /// Faults made.
    pub faults: u64,
    /// Acknowledged writes that the source has not at rest: neither them nor newer ones.
    pub lost_writes: u64,
    /// Reads that were not judged, for their value was [drawn](Rows::draw) by a writer that was never told what became of it,
    /// and the source did not take it either.
    pub unplaced: u64,
    /// What the server lost by itself, where it was [watched](Plan::watched).
    pub losses: Losses,
}

impl Outcome {
    /// Whether every promise was kept.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.report.violations.is_empty() && self.at_rest.is_empty() && self.lost_writes == 0
    }
}

/// Drives `subjects`, one a process, as `plan` says; `make` is called to make a fault.
///
/// # Panics
/// Outside a Tokio runtime.
///
/// # Cancel safety
/// Dropping the future stops every task of the run.
pub async fn run<S, F>(
    plan: &Plan,
    subjects: Vec<S>,
    bounds: Bounds,
    clock: &Clock,
    random: &Random,
    make: impl Fn(Fault) -> F + Send + Sync + 'static,
) -> Outcome
where
    S: Subject,
    F: Future<Output = ()> + Send + 'static,
{
    let rows = Arc::new(Rows::new(clock.clone(), random.clone(), plan.load_delay));
    let shared = Arc::new(Shared {
        plan: plan.clone(),
        rollback: bounds.rollback,
        rows: rows.clone(),
        clock: clock.clone(),
        random: random.clone(),
        done: AtomicU64::new(0),
        over: AtomicBool::new(false),
        pending: AtomicU64::new(0),
        unanswered: AtomicU64::new(0),
        faults: AtomicU64::new(0),
    });
    let tasks = Tasks::new();
    let subjects: Vec<Arc<S>> = subjects.into_iter().map(Arc::new).collect();
    let mut running = Vec::new();
    for (process, subject) in subjects.iter().enumerate() {
        for _ in 0..plan.readers {
            running.push(tasks.spawn("verify reader", shared.clone().read(process as u32, subject.clone())));
        }
        for _ in 0..plan.writers {
            running.push(tasks.spawn("verify writer", shared.clone().write(subject.clone())));
        }
    }
    let troublemaker = tasks.spawn("verify faults", shared.clone().make_trouble(subjects.clone(), make));
    let watcher = plan.watched.clone().map(|store| {
        let (shared, subjects) = (shared.clone(), subjects.clone());
        tasks.spawn("verify watch", async move { watch(&shared, &store, &subjects).await })
    });
    for task in running {
        task.await.expect("a subject does not panic");
    }
    shared.over.store(true, Ordering::Release);
    troublemaker.await.expect("making a fault does not panic");
    let losses = match watcher {
        Some(watcher) => watcher.await.expect("looking does not panic").unwrap_or_default(),
        None => Losses::default(),
    };
    let settled = async {
        while !subjects.iter().all(|subject| subject.is_settled()) {
            clock.sleep(LOOK_EVERY).await;
        }
    };
    // What is not delivered by then shows at rest.
    let _ = clock.timeout(SETTLE_MAX, settled).await;
    for subject in &subjects {
        subject.finish(&rows).await;
    }
    clock.sleep(bounds.near).await;
    let at_rest = compare(&rows, &subjects).await;
    let (history, unplaced) = rows.history();
    let report = check(&history, &bounds);
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    Outcome {
        report,
        at_rest,
        pending: count(&shared.pending),
        unanswered: count(&shared.unanswered),
        faults: count(&shared.faults),
        lost_writes: lost_writes(&history, &rows.versions()),
        unplaced,
        losses,
    }
}

async fn compare<S: Subject>(rows: &Rows, subjects: &[Arc<S>]) -> Vec<Mismatch> {
    let source = rows.all();
    let mut copies = Vec::new();
    for (process, subject) in subjects.iter().enumerate() {
        for key in source.keys() {
            let tiers = subject.cached(*key).await;
            copies.extend(tiers.into_iter().map(|(tier, version)| Copy {
                tier: format!("{tier} of process {process}"),
                key: *key,
                version,
            }));
        }
    }
    compare_at_rest(&source, copies)
}

pub(super) struct Shared {
    plan: Plan,
    /// How long what a failover lost may show.
    rollback: Duration,
    pub(super) rows: Arc<Rows>,
    pub(super) clock: Clock,
    random: Random,
    done: AtomicU64,
    pub(super) over: AtomicBool,
    // Relaxed throughout: counts for the report, read after the tasks have ended.
    pending: AtomicU64,
    unanswered: AtomicU64,
    faults: AtomicU64,
}

impl Shared {
    /// Takes one operation of those that are left.
    fn take(&self) -> bool {
        self.done.fetch_add(1, Ordering::Relaxed) < self.plan.ops
    }

    fn key(&self) -> u64 {
        self.random.below(self.plan.keys)
    }

    async fn read<S: Subject>(self: Arc<Self>, process: u32, subject: Arc<S>) {
        while self.take() {
            let key = self.key();
            let start = self.rows.recorder().now();
            let seen = subject.read(process, key, &self.rows).await;
            let end = self.rows.recorder().now();
            let Some(seen) = seen else {
                self.unanswered.fetch_add(1, Ordering::Relaxed);
                // Whoever answers with errors at once would use up the operations in no time.
                self.clock.sleep(Duration::from_millis(1)).await;
                continue;
            };
            let (version, served, overdue) = (seen.version, seen.served, seen.overdue);
            let read = Read {
                process,
                key,
                start,
                end,
                version,
                served,
                overdue,
            };
            self.rows.recorder().note(Event::Read(read));
            // A hit never waits: without this, one reader would keep its thread to itself.
            tokio::task::consume_budget().await;
        }
    }

    async fn write<S: Subject>(self: Arc<Self>, subject: Arc<S>) {
        while self.take() {
            let key = self.key();
            let Written {
                version,
                committed,
                invalidated,
                held_since,
            } = subject.write(key, self.random.next_u64(), &self.rows).await;
            let now = self.rows.recorder().now();
            let acknowledged = invalidated.acknowledged.then_some(now);
            if invalidated.everything || held_since.is_some() {
                let start = held_since.unwrap_or(committed);
                self.rows
                    .recorder()
                    .note(Event::Window(Window::EndedLeases { start, end: now }));
            }
            if acknowledged.is_none() {
                self.pending.fetch_add(1, Ordering::Relaxed);
            }
            self.rows.recorder().note(Event::Write(Write {
                key,
                version,
                committed,
                acknowledged,
            }));
            self.pause_between_writes().await;
        }
    }

    /// Waits until the readers have done their share.
    async fn pause_between_writes(&self) {
        /// A writer that readers hold up for so long goes on: they may all wait for it.
        const PAUSE_MAX: Duration = Duration::from_millis(20);
        let share = self.plan.reads_per_write * self.plan.writers as u64;
        let until = self.done.load(Ordering::Relaxed) + self.random.below(2 * share + 1);
        let began = self.clock.monotonic();
        while self.done.load(Ordering::Relaxed) < until.min(self.plan.ops)
            && self.clock.monotonic().saturating_sub(began) < PAUSE_MAX
        {
            self.clock.sleep(Duration::from_millis(1)).await;
        }
    }

    /// Until when loads may overlap if leases are lost by now: one that is under way goes on beside the next one.
    pub(super) fn lease_lost_until(&self) -> Moment {
        self.rows.recorder().now() + 2 * self.plan.load_delay.as_nanos() as u64 + LEASE_LOST_FOR
    }

    async fn make_trouble<S: Subject, F: Future<Output = ()>>(
        self: Arc<Self>,
        subjects: Vec<Arc<S>>,
        make: impl Fn(Fault) -> F,
    ) {
        while !self.over.load(Ordering::Acquire) && !self.plan.faults.is_empty() {
            self.clock
                .sleep(self.plan.fault_every.mul_f64(2.0 * self.random.unit()))
                .await;
            let fault = self.plan.faults[self.random.below(self.plan.faults.len() as u64) as usize];
            let start = self.rows.recorder().now();
            if fault == Fault::Crash {
                subjects[self.random.below(subjects.len() as u64) as usize]
                    .crash()
                    .await;
            } else {
                make(fault).await;
            }
            self.faults.fetch_add(1, Ordering::Relaxed);
            let end = self.lease_lost_until();
            self.rows
                .recorder()
                .note(Event::Window(Window::LostLeases { start, end }));
            if fault == Fault::Failover {
                let end = self.rows.recorder().now() + self.rollback.as_nanos() as u64;
                self.rows
                    .recorder()
                    .note(Event::Window(Window::Rollback { start, end }));
            }
        }
    }
}

/// How long a cache may take to deliver what is pending: it has to notice that the store is back.
const SETTLE_MAX: Duration = Duration::from_secs(30);

/// How often it is asked whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How long after a fault loads may still overlap on its account: a pause of the machine included.
const LEASE_LOST_FOR: u64 = 1_000_000_000;
