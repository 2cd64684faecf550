//! What is put to the test.

use std::{future::Future, sync::Arc};

use crate::{
    history::{Moment, Served},
    verify::Rows,
};

/// What a read saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The version in the value, or a value that was [drawn](Rows::draw).
    pub version: u64,
    /// Who answered.
    pub served: Served,
    /// How long past its TTL the value was, in nanoseconds; 0 for a fresh one.
    pub overdue: u64,
}

/// What became of an invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalidated {
    /// The store acknowledged it.
    pub acknowledged: bool,
    /// It ended the leases of all keys, so that loads under way may overlap with the next ones.
    pub everything: bool,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The version that it gave its key, or the value that was [drawn](Rows::draw) for it.
    pub version: u64,
    /// When that was certainly visible. With writing behind, when it began: nobody sees when the store accepts it.
    pub committed: Moment,
    /// What became of its invalidation.
    pub invalidated: Invalidated,
    /// Since when nobody might cache the key; for a write under a hold, and one behind. Loads may overlap from then on.
    pub held_since: Option<Moment>,
}

/// A cache as one process uses it, over [`Rows`]. Values are versions.
pub trait Subject: Send + Sync + 'static {
    /// Reads `key`, loading it from `rows` where it is missing.
    ///
    /// `None` where the cache could not answer, which is no stale read.
    fn read(&self, process: u32, key: u64, rows: &Arc<Rows>) -> impl Future<Output = Option<Seen>> + Send;

    /// Invalidates `key` after a commit. `choice` is a random number for subjects that know several ways.
    fn invalidate(&self, key: u64, choice: u64) -> impl Future<Output = Invalidated> + Send;

    /// Whether nothing that [`invalidate`](Self::invalidate) was told is still on its way: asked at the end of a run, before
    /// the check at rest. By default nothing ever is: what was not acknowledged is forgotten.
    fn is_settled(&self) -> bool {
        true
    }

    /// How often this process, by its own account, has gone without a lease: past a store that failed, or after it waited
    /// too long for another's load. Loads may overlap where this grows. Looked at where the plan has something
    /// [`watched`](super::Plan::watched). Never, by default.
    fn unleased(&self) -> u64 {
        0
    }

    /// Writes `key`: a [`commit`](Rows::commit) of `rows`, made known. By default it commits, then invalidates.
    fn write(&self, key: u64, choice: u64, rows: &Arc<Rows>) -> impl Future<Output = Written> + Send {
        async move {
            let (version, committed) = rows.commit(key);
            Written {
                version,
                committed,
                invalidated: self.invalidate(key, choice).await,
                held_since: None,
            }
        }
    }

    /// Has everything that is on its way reach the source, and says what the source has then, where that is not `rows`:
    /// [`Taken`](crate::history::Event::Taken), [`place`](Rows::place), [`rest`](Rows::rest). Called for one subject after
    /// the other when all have stopped. By default nothing is on its way.
    fn finish(&self, rows: &Arc<Rows>) -> impl Future<Output = ()> + Send {
        let _ = rows;
        std::future::ready(())
    }

    /// The process is killed, with everything that it was doing, and another takes its place: see
    /// [`Fault::Crash`](super::Fault::Crash). By default it cannot be.
    fn crash(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// What the cache would serve for `key` without loading, tier by tier; for the check at rest.
    fn cached(&self, key: u64) -> impl Future<Output = Vec<(&'static str, u64)>> + Send;
}
