//! Whose turn it is to load: this read's, by a lease; another's, which is waited for; or nobody's yet.

use std::time::Duration;

use larder_base::CacheKey;
use serde::{Serialize, de::DeserializeOwned};

use super::{Acquire, Acquired, Step};
use crate::{
    Error,
    coherence::Marked,
    lease::{LeaseGuard, poll_after},
    load::Old,
    open::{Unusable, span},
    script::{Got, Lease},
    stats::Count,
};

/// How long a read that has to wait for its turn to load does not look whether somebody else has loaded: a key with such a
/// limit is invalidated all the time, and each of that looks like news.
const PAUSE_LOOK: Duration = Duration::from_millis(50);

impl<K, V> Acquire<'_, K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    pub(super) async fn granted(
        &mut self,
        got: Got,
        guard: LeaseGuard<K, V>,
        marked: &Marked<K, V>,
        sent: Duration,
    ) -> Result<Step<K, V>, Error> {
        let (bytes, is_fallback, is_fresh) = match got.state {
            Lease::FallbackGranted(bytes) => (bytes, true, false),
            Lease::FreshGranted(bytes) => (bytes, false, true),
            Lease::StaleGranted(bytes) => (bytes, false, false),
            _ => return self.load(guard, None).await,
        };
        let opened = match self.core.open(self.place, bytes) {
            Ok(opened) => opened,
            Err(Unusable::Newer) => {
                guard.release().await;
                return Ok(Step::Done(Acquired::load_only()));
            }
            Err(Unusable::Corrupt | Unusable::Older) => return self.load(guard, None).await,
        };
        let found = if is_fresh {
            let soft_left = span(opened.record.soft_at() - got.now);
            self.core.install(self.place, marked, &opened, sent, soft_left, false);
            self.core.fresh(&opened, soft_left)
        } else {
            self.core.stale(&opened, got.now)
        };
        let old = self.core.old(&opened, found, got.now, sent, is_fallback);
        if is_fallback {
            self.load(guard, Some(old)).await
        } else {
            self.refresh(guard, old).await
        }
    }

    /// Loads under a lease, unless it is too early for that.
    async fn load(&mut self, lease: LeaseGuard<K, V>, old: Option<Old<V>>) -> Result<Step<K, V>, Error> {
        let now = self.core.now();
        if let Some(left) = self.core.refills.left(self.key, now) {
            lease.release().await;
            return Ok(self.pause(left).await);
        }
        match old {
            Some(old) if self.core.retries.left(self.key, now).is_some() => {
                lease.release().await;
                Ok(Step::Done(Acquired::Ready(old.found)))
            }
            old => Ok(Step::Done(Acquired::Load {
                lease: Some(lease),
                old,
                bypass: false,
            })),
        }
    }

    /// Serves an older value and refreshes it, unless it is too early for that.
    async fn refresh(&self, lease: LeaseGuard<K, V>, old: Old<V>) -> Result<Step<K, V>, Error> {
        let acquired = if self.core.refills.left(self.key, self.core.now()).is_some() {
            lease.release().await;
            Acquired::Ready(old.found)
        } else {
            Acquired::Refresh(old, lease)
        };
        Ok(Step::Done(acquired))
    }

    /// The key was loaded a moment ago: waits `left` for its next turn, or until somebody else has loaded it. Who comes
    /// meanwhile shares what comes then.
    async fn pause(&mut self, left: Duration) -> Step<K, V> {
        self.core.count(Count::LoadsPaced);
        self.leader.reopen();
        let marked = self.core.near.mark(self.key, self.place.address.partition);
        // What was given back is not watched any more; a look at it is, and sees what came in between.
        let seen = self.core.ask(&self.core.peek_step(self.place)).await;
        if seen.is_ok_and(|got| matches!(got.state, Lease::Hit(_) | Lease::Dirty(_))) {
            return Step::Again;
        }
        let look = PAUSE_LOOK.min(left);
        self.core.clock.sleep(look).await;
        let _woken = self.core.clock.timeout(left - look, marked.touched()).await;
        // What was waited for here is no load elsewhere.
        self.began = self.core.now();
        Step::Again
    }

    /// Another loads: sleep until it may have ended.
    pub(super) async fn wait(&mut self, left: Duration, marked: &Marked<K, V>) -> Result<Step<K, V>, Error> {
        if !std::mem::replace(&mut self.waited, true) {
            self.core.count(Count::Waits);
        }
        let waited = self.core.now().saturating_sub(self.began);
        if waited >= self.core.settings.wait_budget() {
            self.core.count(Count::WaitsGivenUp);
            return Ok(Step::Done(Acquired::load_only()));
        }
        let mut poll = poll_after(&self.core.random, left);
        if let Some(limit) = self.core.settings.soft_deadline.filter(|_| !self.looked) {
            if waited >= limit {
                self.looked = true;
                return Ok(self.older_instead().await);
            }
            poll = poll.min(limit - waited);
        }
        let _woken = self.core.clock.timeout(poll, marked.touched()).await;
        Ok(Step::Again)
    }

    /// The load elsewhere takes longer than `soft_deadline`: what was marked stale may serve.
    async fn older_instead(&self) -> Step<K, V> {
        let Ok(got) = self.core.ask(&self.core.peek_step(self.place)).await else {
            return Step::Again;
        };
        let Lease::Fallback(bytes) = got.state else {
            return Step::Again;
        };
        match self.core.open(self.place, bytes) {
            Ok(opened) => {
                self.core.count(Count::SoftDeadlines);
                Step::Done(Acquired::Ready(self.core.stale(&opened, got.now)))
            }
            Err(_) => Step::Again,
        }
    }
}
