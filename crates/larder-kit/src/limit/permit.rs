//! A place among those who may be in at one time, kept alive while its permit lives.

use std::{sync::Arc, time::Duration};

use tokio::{sync::oneshot, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::concurrency::Core;
use crate::metric::permit_series as series;

/// A permit is renewed so many times in its lease: two may fail.
const RENEWALS: u32 = 3;

/// A place taken from a [`ConcurrencyLimit`](super::ConcurrencyLimit), renewed in the background, given back when it is
/// dropped.
#[derive(Debug)]
pub struct Permit {
    core: Arc<Core>,
    key: String,
    lost: CancellationToken,
    /// `None` for one that the policy gave while the store was away.
    keeper: Option<Keeper>,
}

/// The task that renews the lease until it is told to stop, and then gives it back.
#[derive(Debug)]
struct Keeper {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Option<bool>>,
}

impl Permit {
    /// Resolves when the place is lost: the lease could not be renewed in time, so that somebody else may have it.
    ///
    /// # Cancel safety
    /// Nothing is lost with the future.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Whether the place is lost.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// Gives the place back and waits until it is; `false` if it was lost before, or the store does not answer: it lapses
    /// then. Dropping the permit does the same in the background.
    ///
    /// # Cancel safety
    /// It is given back all the same.
    pub async fn release(mut self) -> bool {
        let Some(Keeper { stop, task }) = self.keeper.take() else {
            return true;
        };
        // Where nobody listens any more the place is lost.
        let _ = stop.send(());
        task.await.is_ok_and(|given_back| given_back == Some(true))
    }
}

impl Drop for Permit {
    /// The keeper hears that its other end is gone.
    fn drop(&mut self) {
        self.core.count_one_less(&self.key);
    }
}

/// A permit for the lease `id`, which was asked for at `sent`.
pub(super) fn kept(core: Arc<Core>, key: String, id: String, sent: Duration) -> Permit {
    let (stop, stopped) = oneshot::channel();
    let lost = CancellationToken::new();
    let lease = Lease {
        core: core.clone(),
        key: key.clone(),
        id,
        valid_until: sent + core.lease,
        lost: lost.clone(),
    };
    let task = core.tasks.spawn("permit", lease.keep(stopped));
    core.count_one_more(&key, u64::MAX);
    Permit {
        core,
        key,
        lost,
        keeper: Some(Keeper { stop, task }),
    }
}

/// A permit without a lease, which was counted.
pub(super) fn unkept(core: Arc<Core>, key: String) -> Permit {
    Permit {
        core,
        key,
        lost: CancellationToken::new(),
        keeper: None,
    }
}

struct Lease {
    core: Arc<Core>,
    key: String,
    id: String,
    /// Until then nobody else is given the place: counted from when the request was sent.
    valid_until: Duration,
    lost: CancellationToken,
}

impl Lease {
    /// Renews until `stopped`; then whether it was given back.
    async fn keep(mut self, mut stopped: oneshot::Receiver<()>) -> bool {
        let pause = self.core.lease / RENEWALS;
        loop {
            // Not beyond its end, which an answer that took long has brought near.
            let left = self.valid_until.saturating_sub(self.core.clock.monotonic());
            tokio::select! {
                _ = &mut stopped => break,
                () = self.core.clock.sleep(pause.min(left)) => {}
            }
            if !self.renew().await {
                self.core.tally.count(series::LOST);
                self.lost.cancel();
                // The place may still be ours in the store, if its answer was what was lost.
                let _ = self.core.give_back(&self.key, &self.id).await;
                return false;
            }
        }
        self.core.give_back(&self.key, &self.id).await.unwrap_or(false)
    }

    /// Whether the lease stands: renewed, or to be tried again before it lapses.
    async fn renew(&mut self) -> bool {
        let sent = self.core.clock.monotonic();
        let left = self.valid_until.saturating_sub(sent);
        if left.is_zero() {
            // Somebody may have had it since: what the store would grant now is another place.
            return false;
        }
        let renewed = self.core.clock.timeout(left, self.core.take(&self.key, &self.id)).await;
        match renewed {
            Some(Ok(decision)) if decision.allowed => self.valid_until = sent + self.core.lease,
            Some(Ok(_)) | None => return false,
            Some(Err(_)) => {}
        }
        self.core.clock.monotonic() < self.valid_until
    }
}
