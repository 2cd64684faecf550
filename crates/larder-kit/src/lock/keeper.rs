//! Makes guards out of grants, and owns what runs on for them.

use std::{sync::Arc, time::Duration};

use larder_base::{Clock, KeyLabel, Tasks};

use super::{
    Fence, Guard, Lease, LockError,
    alarm::Alarm,
    figures::{BUSY, FAILED, GRANTED, SERIES},
    tenure::{Tenure, valid_until},
    watchdog,
};
use crate::{
    figures::{Series, Tally},
    mutant::{self, Mutant},
    names::Namespace,
};

/// Makes the guards of one lock: their watchdogs, their counts. For those who implement [`Lock`](super::Lock) over something
/// else than a store. A cheap clone.
#[derive(Clone, Debug)]
pub struct Keeper {
    namespace: Namespace,
    clock: Clock,
    tasks: Tasks,
    alarm: Alarm,
    watches: bool,
    tally: Arc<Tally>,
}

/// What was granted, and when it was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Grant {
    /// When the request that was granted was sent: [`Keeper::now`] of that moment.
    pub sent: Duration,
    /// What is left of it by the word of whoever granted it.
    pub left: Duration,
    /// Its number among the holders, if it has one.
    pub fence: Option<Fence>,
}

impl Keeper {
    /// For locks in `namespace`, on `clock`.
    ///
    /// # Errors
    /// [`LockError::Namespace`].
    pub fn new(namespace: &str, clock: &Clock) -> Result<Self, LockError> {
        Ok(Self::counting("lock", SERIES, Namespace::new(namespace)?, clock))
    }

    /// The same for leases that are counted as `tool`, in series of their own: in the order of [`SERIES`].
    pub(crate) fn counting(tool: &'static str, series: &'static [Series], namespace: Namespace, clock: &Clock) -> Self {
        Self {
            tally: Tally::of(tool, namespace.text(), series),
            namespace,
            clock: clock.clone(),
            tasks: Tasks::new(),
            alarm: Alarm::new(clock),
            watches: true,
        }
    }

    /// Whether guards renew their lease by themselves. Default: yes.
    #[must_use]
    pub const fn watchdog(mut self, watches: bool) -> Self {
        self.watches = watches;
        self
    }

    /// The clock that guards go by.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The time by which guards go: it does not step, and goes on while the machine is suspended, as leases do.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.clock.boot()
    }

    /// What runs in the background for its guards; it ends with the last of them.
    #[must_use]
    pub const fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    pub(crate) const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// How a key shows in errors.
    #[must_use]
    pub fn label(&self, written: &str) -> KeyLabel {
        KeyLabel::new(self.namespace.text(), written)
    }

    /// The guard of `lease`, which was granted on what `key` stands for. Counted as granted.
    ///
    /// # Errors
    /// [`LockError::TooSlow`]: the grant was over before it was seen. It is given back in the background.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn guard(&self, key: KeyLabel, lease: Arc<dyn Lease>, grant: Grant) -> Result<Guard, LockError> {
        let (ttl, now) = (lease.ttl(), self.now());
        let sent = if mutant::lives(Mutant::M20Sent) {
            now
        } else {
            grant.sent
        };
        let until = valid_until(sent, ttl, grant.left);
        let tenure = Tenure::new(key.clone(), &self.clock, until, &self.tally);
        if until <= now {
            watchdog::release_later(&self.tasks, lease);
            let took = now.saturating_sub(grant.sent);
            return Err(LockError::TooSlow { key, took, ttl });
        }
        self.count_granted();
        let watchdog = self
            .watches
            .then(|| watchdog::start(&self.alarm, &self.tasks, &lease, &tenure));
        Ok(Guard::new(lease, grant.fence, tenure, self.tasks.clone(), watchdog))
    }

    /// Counts what was granted without a guard.
    pub(crate) fn count_granted(&self) {
        self.tally.count(GRANTED);
    }

    /// Counts an attempt that met another holder.
    pub fn count_busy(&self) {
        self.tally.count(BUSY);
    }

    /// Counts an attempt that was not answered.
    pub fn count_failed(&self) {
        self.tally.count(FAILED);
    }
}
