//! What happens rarely in a cache, told to whoever subscribes: for logs, alerts and tests of a service.
//!
//! Hits are not among it: they are counted. Without a subscriber an event is not even made.

use std::{fmt, sync::OnceLock, time::Duration};

use larder_base::{CacheKey, KeyLabel, WrittenKey};
use tokio::sync::broadcast::{self, error::RecvError};

use crate::{Delivery, Error, LetterId, channel::Change, core::Core, loader::LoadError, script::Rejection};

/// Events that wait for a slow subscriber; further ones push out the oldest, which is told as [`CacheEvent::Lagged`].
/// Some hundred bytes each.
const WAITING_MAX: usize = 1_024;

/// Something that happened in a cache of this process.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CacheEvent {
    /// The source or a loader was called, and answered.
    Loaded {
        /// How many keys it was asked for.
        keys: u64,
        /// How long it took.
        took: Duration,
    },
    /// The source or a loader was called, and failed.
    LoadFailed {
        /// Why.
        why: LoadFailure,
        /// How long it took.
        took: Duration,
    },
    /// A loaded value was not stored: something happened to its key while it was loaded. Callers have it all the same.
    FillRejected {
        /// What happened.
        why: FillRejection,
    },
    /// This process invalidated something.
    Invalidated {
        /// What.
        what: Invalidated,
        /// Whether the store has acknowledged it.
        delivery: Delivery,
    },
    /// The store did not acknowledge an invalidation: it is sent again, and until then nothing cached is taken of what it
    /// concerns.
    Pending {
        /// How many invalidations wait now.
        waiting: u64,
    },
    /// The store has acknowledged everything that was pending.
    Delivered,
    /// The stream of invalidations broke off: near copies are not served.
    Lost,
    /// The stream of invalidations is back, and repaired: near copies are served again.
    Restored,
    /// The store is another run or another server than before: what it may have lost was invalidated again.
    NewGeneration {
        /// Everything was dropped, because it is not known what was lost.
        fenced: bool,
    },
    /// Entries left the near tier to make room, counted once a second.
    Evicted {
        /// How many.
        entries: u64,
    },
    /// Messages on the channel may have been missed.
    MessagesMissed,
    /// A writer's hold was lost before its commit was reported.
    HoldLost,
    /// Under write-behind: a partition had no room for a write, which waits.
    BehindFull {
        /// Keys that wait to be flushed in it.
        entries: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// Under write-behind: the source does not take what waits, which is tried again until it does.
    FlushFailed {
        /// Changes that were given back.
        changes: u64,
        /// What it said, with the causes.
        why: String,
    },
    /// Under write-behind: the source takes what waits again.
    FlushRestored,
    /// Under write-behind: the source refused a change for good, which lies among the dead letters.
    DeadLettered {
        /// Which.
        id: LetterId,
    },
    /// Under write-behind: there is no room for more dead letters, so that a partition is not flushed any more.
    DeadLettersFull {
        /// Which of the 64.
        partition: u8,
    },
    /// The subscriber was too slow: so many events before this place were dropped.
    Lagged(u64),
}

/// Why a load failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadFailure {
    /// The source or the loader said so.
    Error,
    /// It took longer than `load_timeout`.
    Timeout,
    /// The source panicked.
    Panic,
    /// Too many others ran or waited.
    Overloaded,
}

impl LoadFailure {
    const fn of(error: &LoadError) -> Self {
        match error {
            LoadError::Failed(_) => Self::Error,
            LoadError::Timeout(_) => Self::Timeout,
            LoadError::Panicked => Self::Panic,
            LoadError::Overloaded(_) => Self::Overloaded,
        }
    }
}

/// What happened to a key while its value was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FillRejection {
    /// It was invalidated.
    Gone,
    /// Another took the lease.
    Superseded,
    /// The namespace was cleared.
    Cleared,
    /// The store has a newer version.
    Older,
    /// One of the value's tags was invalidated.
    Tag,
}

impl From<Rejection> for FillRejection {
    fn from(why: Rejection) -> Self {
        match why {
            Rejection::Gone | Rejection::Empty => Self::Gone,
            Rejection::Superseded => Self::Superseded,
            Rejection::Cleared => Self::Cleared,
            Rejection::Older => Self::Older,
            Rejection::Tag => Self::Tag,
        }
    }
}

/// What an invalidation concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Invalidated {
    /// One key, as it may be shown.
    Key(KeyLabel),
    /// So many keys.
    Keys(u64),
    /// Values with one of so many tags.
    Tags(u64),
    /// Keys that match a pattern.
    Matching,
    /// The namespace.
    Everything,
}

/// A subscription to what happens in a cache: see [`Cache::events`](crate::Cache::events).
pub struct Events(broadcast::Receiver<CacheEvent>);

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

impl Events {
    /// The next event; `None` once the cache is gone.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<CacheEvent> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(dropped)) => Some(CacheEvent::Lagged(dropped)),
            Err(RecvError::Closed) => None,
        }
    }

    /// The same as a stream.
    pub fn into_stream(self) -> impl futures_util::Stream<Item = CacheEvent> + Send {
        futures_util::stream::unfold(self, async |mut events| {
            let event = events.next().await?;
            Some((event, events))
        })
    }
}

/// Where events go.
#[derive(Debug, Default)]
pub(crate) struct Teller(OnceLock<broadcast::Sender<CacheEvent>>);

impl Teller {
    pub(crate) fn subscribe(&self) -> Events {
        let sender = self.0.get_or_init(|| broadcast::Sender::new(WAITING_MAX));
        Events(sender.subscribe())
    }

    /// Tells an event, if anybody listens.
    #[inline]
    pub(crate) fn tell(&self, event: impl FnOnce() -> CacheEvent) {
        if let Some(sender) = self.0.get() {
            tell(sender, event);
        }
    }
}

#[cold]
fn tell(sender: &broadcast::Sender<CacheEvent>, event: impl FnOnce() -> CacheEvent) {
    if sender.receiver_count() > 0 {
        // The last one may have gone this moment.
        let _ = sender.send(event());
    }
}

impl<K: CacheKey, V: Send + Sync + 'static> Core<K, V> {
    /// Tells what the source or a loader came to.
    pub(crate) fn tell_load<T>(&self, keys: usize, loaded: &Result<T, LoadError>, took: Duration) {
        self.events.tell(|| match loaded {
            Ok(_) => CacheEvent::Loaded {
                keys: keys as u64,
                took,
            },
            Err(error) => CacheEvent::LoadFailed {
                why: LoadFailure::of(error),
                took,
            },
        });
    }

    /// Hard invalidation of `keys` that this process was asked for, and word of it.
    pub(crate) async fn invalidate_and_tell(&self, keys: &[K]) -> Result<(), Error> {
        let done = self.invalidate(keys).await;
        self.tell_change(Change::Keys(keys), &done);
        done
    }

    /// Tells of an invalidation that this process was asked for: its subscribers, and the channel.
    pub(crate) fn tell_change<T>(&self, change: Change<'_, K>, done: &Result<T, Error>) {
        let delivery = match done {
            Ok(_) => Delivery::Acknowledged,
            Err(error) if error.is_pending() => Delivery::Pending,
            // Refused: nothing was invalidated.
            Err(_) => return,
        };
        self.announce(change, delivery == Delivery::Acknowledged);
        self.events.tell(|| CacheEvent::Invalidated {
            what: match change {
                Change::Keys([key]) => Invalidated::Key(self.layout.label(&WrittenKey::of(key))),
                Change::Keys(keys) => Invalidated::Keys(keys.len() as u64),
                Change::Tags(tags) => Invalidated::Tags(tags.len() as u64),
                Change::Matching(_) => Invalidated::Matching,
                Change::All => Invalidated::Everything,
            },
            delivery,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_subscriber_is_told_how_much_it_missed_and_nobody_listening_costs_nothing() {
        let teller = Teller::default();
        teller.tell(|| panic!("nobody listens"));
        let mut events = teller.subscribe();
        for waiting in 0..2_000 {
            teller.tell(|| CacheEvent::Pending { waiting });
        }
        let Some(CacheEvent::Lagged(missed)) = events.next().await else {
            panic!("it was too slow")
        };
        let Some(CacheEvent::Pending { waiting }) = events.next().await else {
            panic!("what is left comes next")
        };
        assert_eq!(
            (missed, waiting),
            (2_000 - WAITING_MAX as u64, 2_000 - WAITING_MAX as u64)
        );
        drop(events);
        teller.tell(|| panic!("nobody listens any more"));
    }
}
