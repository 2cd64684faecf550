//! A lock that is held.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use larder_base::{KeyLabel, Tasks};

use super::{
    Fence, Lease, LockError, Loss, OwnerToken, Released,
    tenure::Tenure,
    watchdog::{self, Watchdog},
};

/// A lock that is held, until it is [released](Self::release), dropped or lost.
///
/// A watchdog renews it every third of its `ttl`. When that does not succeed in time, or the store says that it is not ours
/// any more, it is lost for good: [`run`](Self::run) stops the work, [`check`](Self::check) fails, [`lost`](Self::lost) ends.
/// That happens before the store can grant the lock to another, in a process that runs. A process that stands still (paused,
/// swapping, in a debugger) notices nothing; against that only the [fence](Self::fence) helps, where what the lock protects
/// checks it.
///
/// Dropping it gives the lock back in the background, as well as that can be done; [`release`](Self::release) says whether it
/// was.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use larder_kit::lock::{Lock, StoreLock};
///
/// let store = larder_store::Store::open("embedded:").await?;
/// let invoices = StoreLock::builder("invoices").store(&store).build()?;
/// let guard = invoices.acquire(&42).await?;
/// let sent = guard.run(async { "sent" }).await?; // stopped, should the lock be lost
/// assert_eq!(sent, "sent");
/// assert!(guard.release().await?.was_held());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping it gives the lock back"]
pub struct Guard {
    lease: Arc<dyn Lease>,
    fence: Option<Fence>,
    tenure: Arc<Tenure>,
    tasks: Tasks,
    watchdog: Option<Arc<Watchdog>>,
    /// Whether it is still to be given back.
    owes: bool,
}

impl Guard {
    pub(super) const fn new(
        lease: Arc<dyn Lease>,
        fence: Option<Fence>,
        tenure: Arc<Tenure>,
        tasks: Tasks,
        watchdog: Option<Arc<Watchdog>>,
    ) -> Self {
        Self {
            lease,
            fence,
            tenure,
            tasks,
            watchdog,
            owes: true,
        }
    }

    /// The number of this holder, greater than those of all before. `None` of what is not exclusive (readers, permits), and of
    /// a lock that has none.
    #[must_use]
    pub const fn fence(&self) -> Option<Fence> {
        self.fence
    }

    /// What is locked, the same for all who lock it, such as `lock:{invoices:42}`: by it, whatever checks fences keeps those of
    /// different locks apart. It has the key in it.
    #[must_use]
    pub fn resource(&self) -> &str {
        self.lease.resource()
    }

    /// How what is locked shows in errors.
    #[must_use]
    pub fn label(&self) -> &KeyLabel {
        self.tenure.key()
    }

    /// Whether it is held, by this process's clock and by what the store said last. Call it before each step that it protects;
    /// it asks nobody.
    ///
    /// # Errors
    /// [`LockError::Lost`].
    pub fn check(&self) -> Result<(), LockError> {
        self.tenure.check().map(drop)
    }

    /// For how long it is certainly held, if it is not renewed; zero once it is lost.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.tenure.check().unwrap_or_default()
    }

    /// Ends when the lock is not held any more, with the reason. It may outlive the guard, whose release ends it, too.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub fn lost(&self) -> impl Future<Output = Loss> + Send + 'static {
        self.tenure.clone().ended()
    }

    /// Does `work` while the lock is held. When it is lost, `work` is dropped at its current await, before the store can grant
    /// the lock to another.
    ///
    /// Work that does not yield (a long computation, a blocking call) cannot be stopped: let it [`check`](Self::check), or
    /// carry the [fence](Self::fence).
    ///
    /// # Errors
    /// [`LockError::Lost`]: `work` was stopped, or its end came too late. What it had done by then stays.
    ///
    /// # Cancel safety
    /// Dropping the future drops `work`; the lock stays with the guard.
    pub async fn run<F: Future>(&self, work: F) -> Result<F::Output, LockError> {
        let (mut work, mut lost) = (pin!(work), pin!(self.lost()));
        poll_fn(|cx| {
            if let Poll::Ready(loss) = lost.as_mut().poll(cx) {
                return Poll::Ready(Err(self.tenure.lost_by(loss)));
            }
            // A timer may be late, after a pause of the process above all: the clock is not.
            if let Err(error) = self.check() {
                return Poll::Ready(Err(error));
            }
            work.as_mut().poll(cx).map(|done| self.check().map(|()| done))
        })
        .await
    }

    /// Asks for the whole `ttl` from now on, as the watchdog does by itself.
    ///
    /// # Errors
    /// [`LockError::Lost`]; [`LockError::Store`] or [`LockError::Backend`] if it is not known: it is then held for what
    /// [remains](Self::remaining).
    ///
    /// # Cancel safety
    /// The lock may have been extended without this guard knowing; that does no harm.
    pub async fn extend(&self) -> Result<(), LockError> {
        watchdog::extend(&*self.lease, &self.tenure).await
    }

    /// Gives the lock back, and says whether it was held until then.
    ///
    /// # Errors
    /// [`LockError::Store`] or [`LockError::Backend`]: it is not known whether it was given back. It runs out by itself, within
    /// its `ttl`.
    ///
    /// # Cancel safety
    /// Dropping the future gives it back in the background.
    pub async fn release(mut self) -> Result<Released, LockError> {
        self.watchdog = None;
        self.tenure.end(Loss::Released);
        let released = self.lease.release().await?;
        self.owes = false;
        Ok(released)
    }

    /// Hands the lock on: it is not renewed any more, and not given back. Whoever [adopts](super::StoreLock::adopt) the token
    /// within what [remains](Self::remaining) has it.
    ///
    /// # Errors
    /// The guard itself, if its kind of lock cannot be handed on.
    pub fn into_token(mut self) -> Result<OwnerToken, Self> {
        let Some(token) = self.lease.token() else {
            return Err(self);
        };
        self.owes = false;
        Ok(token)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.tenure.end(Loss::Released);
        if self.owes {
            watchdog::release_later(&self.tasks, self.lease.clone());
        }
    }
}
