//! What one process knows of its subjects without asking: permits that it borrowed, and denials that still stand.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use quick_cache::sync::Cache;

use super::{Basis, Decision};

/// The most subjects of which something is held, some 200 bytes each. Of the others nothing is known: they are asked for,
/// and permits borrowed for one that is pushed out are given up.
const SUBJECTS_MAX: usize = 10_000;

/// What is held of each subject, by the stem of its keys.
#[derive(Debug)]
pub(super) struct Held {
    /// How many permits are borrowed at once; 0 for none.
    batch: u64,
    /// For how long a denial is believed; zero for not at all.
    believed: Duration,
    subjects: Cache<Arc<str>, Arc<Mutex<Subject>>>,
}

#[derive(Debug, Default)]
struct Subject {
    /// Permits that are charged and not yet handed out: `batch` at most, which is what makes the error N × batch.
    left: u64,
    /// What the store said when they were borrowed.
    lent: Option<Decision>,
    denial: Option<Denial>,
}

/// The store's word that a call of this cost is denied until then: its debts only shrink by time.
#[derive(Debug)]
struct Denial {
    cost: u64,
    /// The earliest moment at which it may be otherwise: the request was sent before the server counted.
    surely_until: Duration,
    /// The latest, for who asks when to come back: the answer came after the server counted.
    at_most_until: Duration,
    answered: Duration,
    said: Decision,
}

/// When a request was sent and when its answer was there, by this process's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) sent: Duration,
    pub(super) answered: Duration,
}

impl Held {
    /// `None` where neither is wanted.
    pub(super) fn new(batch: u64, believed: Duration) -> Option<Self> {
        let held = || Self {
            batch,
            believed,
            subjects: Cache::new(SUBJECTS_MAX),
        };
        (batch > 0 || !believed.is_zero()).then(held)
    }

    /// The decision on a call of `cost`, if what is held makes it.
    pub(super) fn decide(&self, stem: &str, cost: u64, now: Duration) -> Option<Decision> {
        let subject = self.subjects.get(stem)?;
        let mut subject = subject.lock();
        if subject.left >= cost {
            subject.left -= cost;
            let mut decision = subject.lent.clone()?;
            decision.remaining += subject.left;
            (decision.basis, decision.server_time) = (Basis::Borrowed, None);
            return Some(decision);
        }
        let denial = subject.denial.as_ref()?;
        let until = denial.surely_until.min(denial.answered.saturating_add(self.believed));
        (cost >= denial.cost && now < until).then(|| denial.repeated(cost, now))
    }

    /// How many permits to ask for: a batch, unless the store just said that there is no room for one.
    pub(super) fn ask_for(&self, stem: &str, cost: u64, now: Duration) -> u64 {
        if self.batch <= cost {
            return cost;
        }
        let subject = self.subjects.get(stem);
        let too_much = subject.is_some_and(|subject| {
            let subject = subject.lock();
            let denial = subject.denial.as_ref();
            denial.is_some_and(|denial| self.batch >= denial.cost && now < denial.surely_until)
        });
        if too_much { cost } else { self.batch }
    }

    /// Takes in what the store said to `asked` permits, of which the caller uses `cost`.
    pub(super) fn learn(&self, stem: &str, cost: u64, asked: u64, said: &Decision, at: Asked) {
        let lends = said.allowed && asked > cost;
        if said.allowed && !lends {
            return;
        }
        let subject = self.subject(stem);
        let mut subject = subject.lock();
        if lends {
            subject.left = (subject.left + asked - cost).min(self.batch);
            subject.lent = Some(said.clone());
        } else if let Some(wait) = said.retry_after {
            subject.denial = Some(Denial {
                cost: asked,
                surely_until: at.sent + wait,
                at_most_until: at.answered + wait,
                answered: at.answered,
                said: said.clone(),
            });
        }
    }

    /// Forgets a subject.
    pub(super) fn forget(&self, stem: &str) {
        self.subjects.remove(stem);
    }

    fn subject(&self, stem: &str) -> Arc<Mutex<Subject>> {
        if let Some(known) = self.subjects.get(stem) {
            return known;
        }
        let made = Arc::<Mutex<Subject>>::default();
        self.subjects.insert(stem.into(), made.clone());
        made
    }
}

impl Denial {
    fn repeated(&self, cost: u64, now: Duration) -> Decision {
        let passed = now.saturating_sub(self.answered);
        let mut decision = self.said.clone();
        // A cost that the limit never has is never admitted; for another higher one this is the least it waits.
        decision.retry_after = (cost <= decision.capacity).then(|| self.at_most_until.saturating_sub(now));
        decision.reset_after = decision.reset_after.saturating_sub(passed);
        (decision.basis, decision.server_time) = (Basis::Remembered, None);
        decision
    }
}
