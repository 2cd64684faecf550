//! Hearing that a lock is lost.

use std::{fmt, pin::Pin, time::Duration};

use larder_base::Clock;

use crate::{blocking::on::On, lock::Loss};

/// Tells when a lock or a place is not held any more, to another thread than its holder's; [`Guard::lost`](super::Guard::lost)
/// and [`Permit::lost`](crate::blocking::limit::Permit::lost) make it.
///
/// ```
/// use std::{sync::atomic::{AtomicBool, Ordering}, thread};
///
/// use larder::{blocking::{Store, lock::{Lock as _, StoreLock}}, lock::Loss};
///
/// # fn main() -> Result<(), larder::BoxError> {
/// # let store = Store::open("embedded:")?;
/// # let invoices = StoreLock::builder("invoices").store(&store).build()?;
/// let guard = invoices.acquire(&42)?;
/// let lost = guard.lost();
/// let watcher = thread::spawn(move || lost.wait()); // and then stops what works under the lock
/// guard.release()?;
/// assert_eq!(watcher.join().unwrap(), Loss::Released);
/// # Ok(())
/// # }
/// ```
#[must_use = "it tells only who waits"]
pub struct Lost {
    on: On<Ended>,
    clock: Clock,
}

/// Ends when the lock is not held any more.
pub(in crate::blocking) type Ended = Pin<Box<dyn Future<Output = Loss> + Send>>;

impl fmt::Debug for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lost").finish_non_exhaustive()
    }
}

impl Lost {
    pub(in crate::blocking) fn of(on: On<Ended>, clock: &Clock) -> Self {
        let clock = clock.clone();
        Self { on, clock }
    }

    /// Waits until it is not held any more, and says why. Its release ends it, too.
    #[track_caller]
    pub fn wait(mut self) -> Loss {
        self.on.wait_mut(|ended| ended)
    }

    /// As [`wait`](Self::wait), for at most `limit`.
    ///
    /// # Errors
    /// The handle itself, if it is held still.
    #[track_caller]
    pub fn wait_within(mut self, limit: Duration) -> Result<Loss, Self> {
        let clock = self.clock.clone();
        let ended = self
            .on
            .wait_mut(|ended| async move { clock.timeout(limit, ended).await });
        ended.ok_or(self)
    }
}
