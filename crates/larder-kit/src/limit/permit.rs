//! A place among those who may be in at one time.

use std::{
    fmt,
    future::{Future, pending},
    sync::Arc,
};

use super::{LimitError, concurrency::Core};
use crate::lock::{Guard, Loss, Released};

/// A place taken from a [`ConcurrencyLimit`](super::ConcurrencyLimit), renewed in the background, given back when it is
/// dropped. Beneath it is the [`Guard`] of a lease, as under every lock.
#[must_use = "dropping it gives the place back"]
pub struct Permit {
    core: Arc<Core>,
    stem: Arc<str>,
    /// `None` for one that the policy gave while the store was away: there is nothing to lose.
    guard: Option<Guard>,
}

/// Without the subject.
impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("of", &self.core)
            .field("is_lost", &self.is_lost())
            .finish_non_exhaustive()
    }
}

impl Permit {
    /// One that is counted already.
    pub(super) const fn new(core: Arc<Core>, stem: Arc<str>, guard: Option<Guard>) -> Self {
        Self { core, stem, guard }
    }

    /// Ends when the place is not held any more, with the reason: before the store can give it to another, in a process that
    /// runs. It may outlive the permit, whose release ends it, too.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub fn lost(&self) -> impl Future<Output = Loss> + Send + 'static {
        let lost = self.guard.as_ref().map(Guard::lost);
        async move {
            match lost {
                Some(lost) => lost.await,
                None => pending().await,
            }
        }
    }

    /// Whether the place is lost, by this process's clock and by what the store said last. It asks nobody.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.guard.as_ref().is_some_and(|guard| guard.check().is_err())
    }

    /// Does `work` while the place is held. When it is lost, `work` is dropped at its current await, before the store can give
    /// the place to another.
    ///
    /// # Errors
    /// [`LimitError::Lost`]: `work` was stopped, or its end came too late. What it had done by then stays.
    ///
    /// # Cancel safety
    /// Dropping the future drops `work`; the place stays with the permit.
    pub async fn run<F: Future>(&self, work: F) -> Result<F::Output, LimitError> {
        let Some(guard) = &self.guard else {
            return Ok(work.await);
        };
        match guard.run(work).await {
            Ok(done) => Ok(done),
            // Nothing else ends it; and what is lost has its reason at once.
            Err(_) => Err(LimitError::Lost(guard.lost().await)),
        }
    }

    /// Gives the place back and waits until it is; `false` if it was lost before, or the store does not answer: it lapses
    /// then. Dropping the permit does the same in the background.
    ///
    /// # Cancel safety
    /// It is given back all the same, in the background.
    pub async fn release(mut self) -> bool {
        match self.guard.take() {
            Some(guard) => guard.release().await.is_ok_and(Released::was_held),
            None => true,
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.core.count_one_less(&self.stem);
    }
}
