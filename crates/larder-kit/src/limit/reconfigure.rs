//! A limiter whose limits are changed while it is in use.

use std::{sync::Arc, time::Duration};

use larder_store::StoreError;
use redis::Value;

use super::{
    LimitError, Limiter, Limits,
    config::{Config, Revised},
    limiter::Core,
    limits::Named,
    plan::Plan,
};
use crate::metric::limit_series as series;

impl Limiter {
    /// The limits in force, as far as this process knows, with their revision: 0 for those of the program.
    #[must_use]
    pub fn limits(&self) -> (u64, Limits) {
        let plan = self.core.plan();
        (plan.revision, Limits::from(&*plan.limits))
    }

    /// Replaces the limits of this namespace for every process, until others are written; the last one to write wins. The
    /// new revision.
    ///
    /// This process goes by them at once. Each other one does so from its first call on that begins after a look: looks
    /// travel with calls, one every [`refresh`](super::LimiterBuilder::refresh), so that is at most `refresh` and the round trip of
    /// a call later; of a process that did not call for longer, the call that looks still goes by the limits it knew. A
    /// process that starts looks before its first call.
    ///
    /// What was charged to a limit is charged to the one that has its name and kind now: counts stay counts (a window of
    /// another length begins anew, or is the old one made longer), and what a [`Gcra`](super::Gcra) is owed stays, up to one burst
    /// of the new. Permits borrowed and denials remembered are dropped.
    ///
    /// It is kept in the store for 90 days after it was last looked at, then (or when the store loses it) the program's
    /// limits are in force again. So that no process ever runs without limits, keep the program's sensible.
    ///
    /// # Errors
    /// [`LimitError::Config`] if the limits cannot be used, [`LimitError::Store`] if the store does not answer.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the answer; the limits may be in force.
    pub async fn reconfigure(&self, limits: Limits) -> Result<u64, LimitError> {
        self.core.write(Some(limits.checked()?), None).await
    }

    /// As [`reconfigure`](Self::reconfigure), if the limits in force are still those of `revision` (see
    /// [`look`](Self::look); 0: those of the program), so that of two who change them at one time one is told.
    ///
    /// # Errors
    /// As [`reconfigure`](Self::reconfigure); [`LimitError::Changed`] if they are of another revision.
    ///
    /// # Cancel safety
    /// As [`reconfigure`](Self::reconfigure).
    pub async fn reconfigure_from(&self, revision: u64, limits: Limits) -> Result<u64, LimitError> {
        self.core.write(Some(limits.checked()?), Some(revision)).await
    }

    /// Back to the limits of the program, in every process, as soon as after [`reconfigure`](Self::reconfigure).
    ///
    /// # Errors
    /// [`LimitError::Store`] if the store does not answer; do it again.
    ///
    /// # Cancel safety
    /// As [`reconfigure`](Self::reconfigure).
    pub async fn restore(&self) -> Result<(), LimitError> {
        self.core.write(None, None).await.map(|_| ())
    }

    /// Asks the store which limits are in force, and goes by them.
    ///
    /// # Errors
    /// [`LimitError::Store`] if the store does not answer, [`LimitError::Config`] if what stands there cannot be read.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the answer.
    pub async fn look(&self) -> Result<(u64, Limits), LimitError> {
        let sent = self.core.clock.monotonic();
        let reply = self.core.store.call(&self.core.config.look()).await?;
        self.core.apply(Config::read(&reply)?, sent)?;
        Ok(self.limits())
    }
}

impl Core {
    /// Until this process knows which limits are in force.
    pub(super) async fn look_first(&self) -> Result<(), StoreError> {
        if !self.config.is_unknown() {
            return Ok(());
        }
        let sent = self.clock.monotonic();
        let looked = self.store.call(&self.config.look()).await?;
        self.config.looked(sent);
        self.learn(&looked, sent);
        Ok(())
    }

    /// Goes by what a look found. What cannot be read, of a newer version say, leaves the limits as they are.
    pub(super) fn learn(&self, looked: &Value, sent: Duration) {
        let learned = Config::read(looked).and_then(|found| self.apply(found, sent));
        if let Err(error) = learned {
            self.tally.count(series::UNREADABLE);
            tracing::warn!(namespace = %self.namespace.text(), %error, "the limits stay as they are");
        }
    }

    fn apply(&self, found: Option<Revised>, sent: Duration) -> Result<(), LimitError> {
        let revision = found.as_ref().map_or(0, |found| found.revision);
        let plan = self.plan();
        if plan.revision == revision || sent < plan.since {
            return Ok(());
        }
        let limits = match found {
            Some(found) => found.limits.checked()?,
            None => self.own.clone(),
        };
        self.put_in_force(revision, limits);
        Ok(())
    }

    fn put_in_force(&self, revision: u64, limits: Arc<[Named]>) {
        let plan = Plan::new(revision, limits, &self.settings, &self.clock);
        *self.plan.write() = Arc::new(plan);
    }

    async fn write(&self, limits: Option<Arc<[Named]>>, replaces: Option<u64>) -> Result<u64, LimitError> {
        let reply = self.store.call(&self.config.write(limits.as_deref(), replaces)).await?;
        let revision = Config::written(&reply, replaces)?;
        self.put_in_force(revision, limits.unwrap_or_else(|| self.own.clone()));
        Ok(revision)
    }
}
