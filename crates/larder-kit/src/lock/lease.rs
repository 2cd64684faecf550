//! One lease in a store: asked for under a token, renewed, given back.

use std::{fmt, sync::Arc, time::Duration};

use larder_base::Tasks;
use larder_store::Store;

use super::{
    Lease, LockFuture, OwnerToken, Released,
    kind::{Answer, Hold, whole_millis},
    token::Token,
    watchdog,
};

/// What is held in the store under one token.
pub(crate) struct StoreLease {
    store: Store,
    hold: &'static Hold,
    ttl: Duration,
    stem: Arc<str>,
    token: Token,
}

impl StoreLease {
    pub(crate) fn new(store: &Store, hold: &'static Hold, ttl: Duration, stem: Arc<str>, token: Token) -> Self {
        Self {
            store: store.clone(),
            hold,
            ttl,
            stem,
            token,
        }
    }
}

/// Without the token.
impl fmt::Debug for StoreLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreLease")
            .field("hold", self.hold)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

impl Lease for StoreLease {
    fn resource(&self) -> &str {
        &self.stem
    }

    fn ttl(&self) -> Duration {
        self.ttl
    }

    fn extend(&self) -> LockFuture<'_, Option<Duration>> {
        let extend = &self.hold.extend;
        Box::pin(async move {
            let call = extend.call_for(&self.stem, self.token).int(whole_millis(self.ttl));
            match extend.read(&self.store.call(&call).await?)? {
                Answer::Mine { left, .. } => Ok(Some(left)),
                Answer::Not { .. } => Ok(None),
            }
        })
    }

    fn release(&self) -> LockFuture<'_, Released> {
        let release = &self.hold.release;
        Box::pin(async move {
            let call = release.call_for(&self.stem, self.token);
            Ok(release.read_released(&self.store.call(&call).await?)?)
        })
    }

    fn token(&self) -> Option<OwnerToken> {
        self.hold.adopt.as_ref().map(|_| OwnerToken::new(self.token))
    }
}

/// A lease that was asked for and whose answer was not seen. Dropped so, it gives back what it may have been granted.
pub(crate) struct Claim {
    lease: Option<Arc<StoreLease>>,
    tasks: Tasks,
}

impl Claim {
    pub(crate) fn new(lease: StoreLease, tasks: &Tasks) -> Self {
        Self {
            lease: Some(Arc::new(lease)),
            tasks: tasks.clone(),
        }
    }

    pub(crate) fn token(&self) -> Token {
        self.lease.as_ref().map_or(Token::NONE, |lease| lease.token)
    }

    /// Nothing is held under it.
    pub(crate) fn settle(mut self) {
        self.lease = None;
    }

    /// It was granted.
    pub(crate) fn into_lease(mut self) -> Arc<StoreLease> {
        self.lease.take().expect("a claim has its lease until it is settled")
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            watchdog::release_later(&self.tasks, lease);
        }
    }
}
