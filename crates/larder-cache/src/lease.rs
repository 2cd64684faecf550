//! The right to load one key, given back in whatever way its holder ends.

use std::{sync::Arc, time::Duration};

use larder_base::CacheKey;

use crate::{
    core::{Core, Place},
    script::{Release, Renew, Step as _, Token},
    settings::millis,
};

/// A lease is renewed this often in its time, so that one lost renewal does not cost it.
const RENEWALS: u32 = 3;

/// A lease that was granted, or a request for one whose answer was not seen. Dropped without [`spent`](Self::spent) or
/// [`release`](Self::release), it gives itself back in the background.
pub(crate) struct LeaseGuard<K: CacheKey, V: Send + Sync + 'static> {
    core: Arc<Core<K, V>>,
    key: K,
    place: Arc<Place>,
    token: Token,
    armed: bool,
}

impl<K: CacheKey, V: Send + Sync + 'static> LeaseGuard<K, V> {
    pub(crate) fn new(core: &Arc<Core<K, V>>, key: &K, place: &Arc<Place>, token: Token) -> Self {
        Self {
            core: core.clone(),
            key: key.clone(),
            place: place.clone(),
            token,
            armed: true,
        }
    }

    pub(crate) const fn token(&self) -> Token {
        self.token
    }

    pub(crate) fn e(&self) -> &bytes::Bytes {
        self.place.keys.e()
    }

    /// The lease is gone: used by a fill, or never granted.
    pub(crate) fn spent(mut self) {
        self.armed = false;
    }

    /// Gives the lease back now, so that the next caller need not wait for it.
    pub(crate) async fn release(mut self) {
        give_back(&self.core, &self.key, &self.place, self.token).await;
        self.armed = false;
    }

    /// Keeps the lease for `span` without a load, so that nobody else loads meanwhile; for no time, gives it back.
    pub(crate) async fn end(self, span: Duration) {
        if span.is_zero() {
            return self.release().await;
        }
        // Unanswered, it is given back in the background.
        if self.core.ask(&self.keep_step(span)).await.is_ok() {
            self.spent();
        }
    }

    /// What makes the lease last `span` from now.
    pub(crate) fn keep_step(&self, span: Duration) -> Renew {
        Renew {
            e: self.place.keys.e().clone(),
            token: self.token,
            lease_ms: millis(span),
        }
    }

    /// The store has taken the lease back: whoever waits for it in this process is told, for the store tells others alone.
    pub(crate) fn given_back(self) {
        self.core.near.changed(&self.key);
        self.spent();
    }

    /// Runs `work` and keeps the lease alive meanwhile.
    pub(crate) async fn keep_during<T>(&self, work: impl Future<Output = T>) -> T {
        let every = self.core.settings.lease / RENEWALS;
        let mut work = std::pin::pin!(work);
        loop {
            if let Some(done) = self.core.clock.timeout(every, work.as_mut()).await {
                return done;
            }
            if let Some(done) = self.renew_during(work.as_mut()).await {
                return done;
            }
        }
    }

    /// Renews once; `work` goes on meanwhile, for the store may be slow to answer.
    async fn renew_during<T>(&self, work: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        let step = self.keep_step(self.core.settings.lease);
        tokio::select! {
            biased;
            done = work => Some(done),
            renewed = self.core.ask(&step) => {
                // A lost lease is no reason to stop: the value is good for those who wait, only its fill is refused.
                if !matches!(renewed, Ok((true, _))) {
                    tracing::debug!(key = %self.core.label(&self.place), "a lease was lost during its load");
                }
                None
            }
        }
    }
}

/// Runs `work` and keeps `leases` alive meanwhile, renewed in one pipeline.
pub(crate) async fn keep_all<K, V, T>(
    core: &Core<K, V>,
    leases: &[&LeaseGuard<K, V>],
    work: impl Future<Output = T>,
) -> T
where
    K: CacheKey,
    V: Send + Sync + 'static,
{
    let every = core.settings.lease / RENEWALS;
    let renewals = || {
        let step = |lease: &&LeaseGuard<K, V>| lease.keep_step(core.settings.lease).call();
        leases.iter().map(step).collect::<Vec<_>>()
    };
    let mut work = std::pin::pin!(work);
    loop {
        if let Some(done) = core.clock.timeout(every, work.as_mut()).await {
            return done;
        }
        let calls = renewals();
        tokio::select! {
            biased;
            done = work.as_mut() => return done,
            _renewed = core.store.call_many(&calls) => {}
        }
    }
}

impl<K: CacheKey, V: Send + Sync + 'static> Drop for LeaseGuard<K, V> {
    fn drop(&mut self) {
        // Outside a runtime (it is being shut down) the lease runs out by itself.
        if !self.armed || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let (core, key, place, token) = (self.core.clone(), self.key.clone(), self.place.clone(), self.token);
        let release = async move { give_back(&core, &key, &place, token).await };
        drop(self.core.tasks.spawn("release", release));
    }
}

async fn give_back<K, V>(core: &Core<K, V>, key: &K, place: &Place, token: Token)
where
    K: CacheKey,
    V: Send + Sync + 'static,
{
    let e = place.keys.e().clone();
    let writing = core.near.writing(std::slice::from_ref(key), None);
    if let Err(error) = core.ask(&Release { e, token }).await {
        tracing::debug!(%error, "a lease could not be given back; it runs out by itself");
    }
    writing.changed();
}

/// How long to sleep before asking again for a key that another loads: short enough not to add much to a load, long
/// enough that many waiters do not load the store; jittered, so that they do not come together.
pub(crate) fn poll_after(random: &larder_base::Random, left: Duration) -> Duration {
    let poll = Duration::from_micros(5_000 + random.below(45_000));
    poll.min(left)
}
