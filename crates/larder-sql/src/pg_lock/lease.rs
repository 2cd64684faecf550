//! How a guard keeps an advisory lock, and gives it back.

use std::{sync::Arc, time::Duration};

use larder_kit::lock::{Lease, LockError, LockFuture, Released};
use tokio::sync::Mutex;

use super::session::Session;

/// One lock that was granted.
#[derive(Debug)]
pub(super) struct PgLease {
    /// One statement at a time: a heartbeat, or the last word.
    session: Mutex<Session>,
    resource: Arc<str>,
    ttl: Duration,
}

impl PgLease {
    pub(super) fn new(session: Session, resource: Arc<str>, ttl: Duration) -> Self {
        Self {
            session: Mutex::new(session),
            resource,
            ttl,
        }
    }
}

impl Lease for PgLease {
    fn resource(&self) -> &str {
        &self.resource
    }

    fn ttl(&self) -> Duration {
        self.ttl
    }

    fn extend(&self) -> LockFuture<'_, Option<Duration>> {
        Box::pin(async {
            let lives = self.session.lock().await.lives().await.map_err(LockError::backend)?;
            Ok(lives.then_some(self.ttl))
        })
    }

    fn release(&self) -> LockFuture<'_, Released> {
        Box::pin(async {
            let was_held = self.session.lock().await.unlock().await.map_err(LockError::backend)?;
            Ok(if was_held {
                Released::Released
            } else {
                Released::NotHeld
            })
        })
    }
}
