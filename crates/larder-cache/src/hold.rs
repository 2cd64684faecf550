//! A writer's hold: while a commit is under way nobody stores what it is about to change (theorem T3).
//!
//! The hold ends what is cached before the commit, where an invalidation comes after it: a writer that dies in between
//! leaves nothing old behind. Near tiers of other processes learn of its beginning as of any invalidation, within their
//! bound; a strict commit waits for that.

use std::{fmt, sync::Arc, time::Duration};

use larder_base::CacheKey;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    BoxError, CacheEvent, Consistency, Error, ErrorKind,
    context::Notes,
    core::{Core, Place, is_out_of_memory, is_unknown_outcome},
    owed::{Deed, Owed},
    script::{Begin, Close, EndPut, NO_TOKEN, Token},
    stats::Count,
};

/// How often a begin or an end whose answer was not seen is repeated.
const ATTEMPTS: usize = 3;

/// This share of a hold is kept back: a commit that begins so late would probably end after it.
const MARGIN: u32 = 10;

/// A key held for a commit: its cached value is gone, and nothing is stored for it until the hold ends.
///
/// Dropped without a commit, it ends in the background; after a crash it ends by itself.
#[must_use = "a hold that is dropped ends: call `commit`"]
pub struct Hold<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    core: Arc<Core<K, V>>,
    key: K,
    place: Arc<Place>,
    token: Token,
    /// When it ends by itself, at the earliest, on this process's clock.
    until: Duration,
    /// From when no near tier serves what was there before; with [`Consistency::Strict`] nothing is committed earlier.
    clear_at: Duration,
    open: bool,
}

impl<K, V> fmt::Debug for Hold<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold")
            .field("key", &self.core.label(&self.place))
            .finish_non_exhaustive()
    }
}

/// What a commit under a hold came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Committed<T> {
    /// What the commit returned.
    pub value: T,
    /// Whether the hold stood until after the commit. If not, a reader may have stored the old value meanwhile; it is gone now.
    pub held: bool,
    /// Whether the new value was stored, by [`Hold::commit_value`] and undisturbed.
    pub stored: bool,
}

impl<K, V> Core<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    pub(crate) async fn hold(self: &Arc<Self>, key: &K) -> Result<Hold<K, V>, Error> {
        self.refuse_behind("hold", "put")?;
        let place = Arc::new(self.place(key));
        self.agree().await;
        // Granted they may all be: each that is dropped here owes its end.
        let mut asked: Vec<Hold<K, V>> = Vec::with_capacity(ATTEMPTS);
        loop {
            let replaces = asked.last().map_or(NO_TOKEN, |before| before.token);
            // Armed before it is asked for: cancelled before the answer is seen, it may have been granted all the same.
            let mut hold = self.new_hold(key, &place);
            let writing = self.writing(std::slice::from_ref(key));
            let step = self.begin_step(&place, hold.token, replaces);
            let begun = self.ask_healing(&step, &place.keys).await;
            writing.changed();
            self.detach(std::slice::from_ref(key));
            match begun {
                Ok(_) => {
                    // The one before is replaced. Of those before that nobody knows.
                    asked.pop().into_iter().for_each(|mut replaced| replaced.open = false);
                    hold.clear_at = self.now().saturating_add(self.strict_wait());
                    return Ok(hold);
                }
                Err(error) if is_unknown_outcome(&error) => {
                    asked.push(hold);
                    if asked.len() == ATTEMPTS {
                        return Err(error);
                    }
                }
                Err(error) => {
                    hold.open = false;
                    return Err(error);
                }
            }
        }
    }

    fn new_hold(self: &Arc<Self>, key: &K, place: &Arc<Place>) -> Hold<K, V> {
        Hold {
            core: self.clone(),
            key: key.clone(),
            place: place.clone(),
            token: self.random.bytes(),
            until: self.now() + self.settings.hold,
            clear_at: Duration::ZERO,
            open: true,
        }
    }

    fn begin_step<'a>(&self, place: &'a Place, token: Token, replaces: Token) -> Begin<'a> {
        let hold_ms = crate::settings::millis(self.settings.hold);
        Begin {
            keys: &place.keys,
            token,
            hold_ms,
            candidate: self.random.bytes(),
            replaces,
            log: self.logged(place.keys.e()),
        }
    }

    /// How long a commit waits after its hold began.
    fn strict_wait(&self) -> Duration {
        match self.settings.consistency {
            // On the embedded store a change reaches every copy inside the command that makes it, but for a log's.
            Consistency::Strict if !self.store.is_embedded() || self.logs() => self.settings.near_bound(),
            Consistency::Strict | Consistency::Bounded => Duration::ZERO,
        }
    }

    fn close_step(&self, place: &Place, token: Token) -> Close {
        let e = place.keys.e().clone();
        let log = self.logged(&e);
        Close { e, token, log }
    }
}

impl<K, V> Hold<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// For how long the hold lasts by itself. A commit has to end within it.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.until.saturating_sub(self.core.now())
    }

    /// Runs `commit`, then ends the hold: whoever reads from then on loads what was committed.
    ///
    /// With [`Consistency::Strict`] it first waits until every near tier has let go of what was there before:
    /// [`max_staleness`](crate::CacheBuilder::max_staleness) and a little from the beginning of the hold, less what has passed.
    ///
    /// # Errors
    /// [`ErrorKind::HoldLapsed`], without running `commit`, if the hold is about to end; [`ErrorKind::Commit`] with its error;
    /// [`ErrorKind::Pending`] if it committed and the store did not acknowledge the end: the hold ends by itself, repeat the
    /// invalidation.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the commit may have happened or not, and the hold ends in the background.
    pub async fn commit<T, E>(
        mut self,
        commit: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<Committed<T>, Error>
    where
        E: Into<BoxError>,
    {
        let value = self.run(commit).await?;
        let held = self.close().await?;
        Ok(Committed {
            value,
            held,
            stored: false,
        })
    }

    /// As [`commit`](Self::commit), for a commit that returns the new value: it is stored if no other writer or
    /// invalidation interfered.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    ///
    /// # Cancel safety
    /// As [`commit`](Self::commit).
    pub async fn commit_value<E>(
        mut self,
        commit: impl Future<Output = Result<V, E>> + Send,
    ) -> Result<Committed<Arc<V>>, Error>
    where
        E: Into<BoxError>,
    {
        let value = Arc::new(self.run(commit).await?);
        let (held, stored) = self.store(&value, &Notes::default()).await?;
        Ok(Committed { value, held, stored })
    }

    /// Ends the hold and stores what was committed, if nobody interfered; whether the hold stood, and whether it was stored.
    pub(crate) async fn store(&mut self, value: &V, notes: &Notes) -> Result<(bool, bool), Error> {
        let new = match self.core.new_value(&self.place, Some(value), notes, Duration::ZERO) {
            Ok(new) => new,
            Err(error) => {
                tracing::warn!(key = %self.core.label(&self.place), %error, "a committed value is not cached");
                return Ok((self.close().await?, false));
            }
        };
        self.core.agree().await;
        let step = EndPut {
            keys: &self.place.keys,
            token: self.token,
            value: &new,
            log: self.core.logged(self.place.keys.e()),
        };
        self.core.note(&[self.end()]);
        let writing = self.core.writing(std::slice::from_ref(&self.key));
        let ended = self.core.ask_healing(&step, &self.place.keys).await;
        writing.changed();
        self.core.detach(std::slice::from_ref(&self.key));
        match ended {
            Ok(reply) => {
                self.open = false;
                let stored = reply.outcome.is_ok();
                let held = reply.outcome.map_or_else(|unstored| unstored.own_found, |()| true);
                self.note(held);
                Ok((held, stored))
            }
            Err(error) => {
                if !is_out_of_memory(&error) {
                    tracing::debug!(%error, "a hold is ended without storing");
                }
                Ok((self.close().await?, false))
            }
        }
    }

    /// Waits until the commit may run; fails, with the hold ended, if it could not end in time.
    pub(crate) async fn ready(&mut self) -> Result<(), Error> {
        let wait = self.clear_at.saturating_sub(self.core.now());
        if !wait.is_zero() {
            // A sleep of nothing would last until the timer's next tick, a millisecond later.
            self.core.clock.sleep(wait).await;
        }
        if self.remaining() >= self.core.settings.hold / MARGIN {
            return Ok(());
        }
        let key = self.core.label(&self.place);
        let _closed = self.close().await;
        Err(Error::from(ErrorKind::HoldLapsed { key }))
    }

    async fn run<T, E: Into<BoxError>>(
        &mut self,
        commit: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, Error> {
        self.ready().await?;
        match commit.await {
            Ok(value) => Ok(value),
            Err(error) => {
                let error = Error::from(ErrorKind::Commit {
                    key: self.core.label(&self.place),
                    source: error.into().into(),
                });
                // It may have been committed all the same: the end drops what is cached.
                let _closed = self.close().await;
                Err(error)
            }
        }
    }

    /// Ends the hold; whether it still stood. If the store does not acknowledge it, the end is pending.
    pub(crate) async fn close(&mut self) -> Result<bool, Error> {
        self.core.agree().await;
        self.core.note(&[self.end()]);
        let step = self.core.close_step(&self.place, self.token);
        let mut failure = None;
        for _ in 0..ATTEMPTS {
            let writing = self.core.writing(std::slice::from_ref(&self.key));
            let closed = self.core.ask_healing(&step, &self.place.keys).await;
            writing.changed();
            self.core.detach(std::slice::from_ref(&self.key));
            match closed {
                Ok(closed) => {
                    self.note(closed.own_found);
                    self.replicated().await?;
                    self.open = false;
                    return Ok(closed.own_found);
                }
                Err(error) => failure = Some(error),
            }
        }
        self.end_later();
        let failure = failure.expect("ATTEMPTS is not zero");
        // Kept, where that is asked for, before it is told.
        let unkept = self.core.unkept().await;
        Err(failure.map_store(|source| ErrorKind::Pending {
            what: "a key under a hold".to_owned(),
            source,
            unkept,
        }))
    }

    /// Has replicas hear of the end too, where that is asked for: it is as good twice.
    async fn replicated(&mut self) -> Result<(), Error> {
        if self.core.settings.wait_replicas == 0 {
            return Ok(());
        }
        let sent = self.core.deliver(vec![self.end()]).await;
        self.open = false;
        self.core.told(|| "a key under a hold".to_owned(), sent).await
    }

    /// Leaves the end to the recovery task: until the store acknowledges it, this process takes nothing cached of the key.
    fn end_later(&mut self) {
        self.open = false;
        self.core.now_pending(&[self.end()]);
    }

    fn end(&self) -> Owed {
        Owed::Entry(self.place.keys.e().clone(), Deed::End(self.token))
    }

    fn note(&self, held: bool) {
        if !held {
            self.core.count(Count::HoldsLost);
            self.core.events.tell(|| CacheEvent::HoldLost);
        }
    }
}

impl<K, V> Drop for Hold<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    fn drop(&mut self) {
        if self.open {
            self.end_later();
        }
    }
}
