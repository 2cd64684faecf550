//! The store's part of a read that may load: a hit, or the right to load, or the need to do without it (protocol 1.4).

mod fast;
mod trouble;
mod turn;

use std::{sync::Arc, time::Duration};

use larder_base::CacheKey;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error,
    coherence::Marked,
    core::{Core, Lesson, Place},
    flight::Leader,
    found::{Lookup, Outcome},
    lease::LeaseGuard,
    load::Old,
    mutant::{self, Mutant},
    open::span,
    script::{Get, Got, Lease, Mode, NO_TOKEN, Token},
    stats::Count,
};

/// What the store's part of a read came to.
pub(crate) enum Acquired<K: CacheKey, V: Send + Sync + 'static> {
    /// An answer.
    Ready(Lookup<V>),
    /// An answer, and the right to refresh it.
    Refresh(Old<V>, LeaseGuard<K, V>),
    /// Load it: and fill under the lease, if there is one.
    Load {
        lease: Option<LeaseGuard<K, V>>,
        /// Served if the load fails.
        old: Option<Old<V>>,
        /// The store is down: the cap is a tighter one.
        bypass: bool,
    },
}

impl<K: CacheKey, V: Send + Sync + 'static> Acquired<K, V> {
    /// For a key of which nothing that is cached may be taken: as if the store were down.
    pub(crate) const fn past_the_store() -> Self {
        Self::Load {
            lease: None,
            old: None,
            bypass: true,
        }
    }

    const fn load_only() -> Self {
        Self::Load {
            lease: None,
            old: None,
            bypass: false,
        }
    }
}

/// Where a read stands after one request.
enum Step<K: CacheKey, V: Send + Sync + 'static> {
    /// The store's part is over.
    Done(Acquired<K, V>),
    /// The store has to be asked once more.
    Again,
}

/// One read's dealings with the store.
pub(crate) struct Acquire<'a, K: CacheKey, V: Send + Sync + 'static> {
    core: &'a Arc<Core<K, V>>,
    key: &'a K,
    place: &'a Arc<Place>,
    leader: &'a Leader<K, Outcome<V>>,
    mode: Mode,
    replaces: Token,
    began: Duration,
    attempts: u32,
    repairs: u32,
    /// The fast path could not tell.
    fast_failed: bool,
    waited: bool,
    looked: bool,
}

impl<'a, K, V> Acquire<'a, K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    pub(crate) fn new(
        core: &'a Arc<Core<K, V>>,
        key: &'a K,
        place: &'a Arc<Place>,
        leader: &'a Leader<K, Outcome<V>>,
    ) -> Self {
        Self {
            core,
            key,
            place,
            leader,
            mode: Mode::Lease,
            replaces: leader.replaces,
            began: core.now(),
            attempts: 0,
            repairs: 0,
            fast_failed: false,
            waited: false,
            looked: false,
        }
    }

    /// Asks until the store has answered or is given up on.
    pub(crate) async fn run(mut self) -> Result<Acquired<K, V>, Error> {
        if let Some(found) = self.revalidate().await {
            return Ok(Acquired::Ready(found));
        }
        if self.core.fast.is_worth_it()
            && let Step::Done(done) = self.fast_path().await?
        {
            return Ok(done);
        }
        // Bounded: by the wait budget, by ATTEMPTS and by REPAIRS.
        loop {
            if let Step::Done(done) = self.ask_once().await? {
                return Ok(done);
            }
        }
    }

    /// A near copy in doubt, if there is one and it still holds.
    async fn revalidate(&self) -> Option<Lookup<V>> {
        let copy = self.core.near.doubtful(self.key, self.core.coarse())?;
        self.leader.handed_on();
        self.core.revalidate(self.key, self.place, copy).await
    }

    /// `MGET E M`: a fresh value without a script; asked again if only `get` can tell.
    async fn fast_path(&mut self) -> Result<Step<K, V>, Error> {
        let marked = self.core.near.mark(self.key, self.place.address.partition);
        self.leader.handed_on();
        let sent = self.core.now();
        let found = match self.core.fast_read(self.place, sent).await {
            Ok(found) => found,
            Err(error) => return self.failed(error, NO_TOKEN).await,
        };
        let Some((record, soft_left)) = found else {
            self.fast_failed = true;
            self.core.fast.note(Lesson::Slow);
            return Ok(Step::Again);
        };
        let opened = match self.core.decode(self.place, record) {
            Ok(opened) => opened,
            Err(unusable) => return self.unusable(unusable).await,
        };
        if soft_left <= self.core.early_span(&opened) {
            self.mode = Mode::Early;
            return Ok(Step::Again);
        }
        self.core.fast.note(Lesson::Fast);
        self.core.count(Count::FastHits);
        self.core.install(self.place, &marked, &opened, sent, soft_left, true);
        Ok(Step::Done(Acquired::Ready(self.core.fresh(&opened, soft_left))))
    }

    /// One `get`.
    async fn ask_once(&mut self) -> Result<Step<K, V>, Error> {
        let token = self.draw_token();
        let marked = self.core.near.mark(self.key, self.place.address.partition);
        // A granted lease is an own write.
        let writing = self.core.near.writing(std::slice::from_ref(self.key), Some(&marked));
        self.leader.note_request(token);
        self.leader.handed_on();
        // Who joined until now may have come after an invalidation that is pending.
        if self.core.pending.quarantines(self.place.keys.e()) {
            writing.unchanged();
            return self.core.past_the_store(self.place).await.map(Step::Done);
        }
        // If this is cancelled before the answer is seen, the lease may have been granted all the same.
        let guard = LeaseGuard::new(self.core, self.key, self.place, token);
        let sent = self.core.now();
        let got = self.core.ask(&self.get(token)).await;
        writing.answered(&got);
        match got {
            Ok(got) => {
                self.replaces = NO_TOKEN;
                self.answered(got, guard, &marked, sent).await
            }
            Err(error) => {
                guard.spent();
                self.failed(error, token).await
            }
        }
    }

    /// A token for this attempt alone.
    fn draw_token(&self) -> Token {
        if mutant::lives(Mutant::M2) {
            return (self.core.store.identity() as u128).to_be_bytes();
        }
        if mutant::lives(Mutant::M13) && self.replaces != NO_TOKEN {
            return self.replaces;
        }
        self.core.random.bytes()
    }

    /// An incarnation for this attempt alone, in case there is none.
    fn draw_candidate(&self, token: Token) -> [u8; 8] {
        if mutant::lives(Mutant::M43) {
            let first = if self.replaces == NO_TOKEN {
                token
            } else {
                self.replaces
            };
            return *first.first_chunk().expect("a token is longer");
        }
        self.core.random.bytes()
    }

    fn get(&self, token: Token) -> Get {
        Get {
            keys: self.place.keys.clone(),
            mode: self.mode,
            token,
            lease_ms: self.core.settings.lease_ms(),
            candidate: self.draw_candidate(token),
            replaces: self.replaces,
            dirty: self.place.dirty.clone(),
        }
    }

    async fn answered(
        &mut self,
        got: Got,
        guard: LeaseGuard<K, V>,
        marked: &Marked<K, V>,
        sent: Duration,
    ) -> Result<Step<K, V>, Error> {
        let now = got.now;
        // What the fast path has tried is known already.
        if !std::mem::take(&mut self.fast_failed) {
            self.core.fast.note(got.state.lesson());
        }
        if got.state.is_granted() {
            return self.granted(got, guard, marked, sent).await;
        }
        guard.spent();
        match got.state {
            Lease::Hit(bytes) => self.hit(bytes, now, marked, sent).await,
            Lease::Stale(bytes) => match self.core.open(self.place, bytes) {
                Ok(opened) => Ok(Step::Done(Acquired::Ready(self.core.stale(&opened, now)))),
                Err(unusable) => self.unusable(unusable).await,
            },
            Lease::Wait(left) => self.wait(span(left), marked).await,
            Lease::Dirty(bytes) => self.dirty(&bytes),
            // A writer is about to commit: what is loaded now must not be stored.
            _ => Ok(Step::Done(Acquired::load_only())),
        }
    }

    /// The key waits to be flushed.
    fn dirty(&self, bytes: &[u8]) -> Result<Step<K, V>, Error> {
        Ok(Step::Done(Acquired::Ready(self.core.dirty(self.place, bytes)?)))
    }

    async fn hit(
        &mut self,
        bytes: Vec<u8>,
        now: f64,
        marked: &Marked<K, V>,
        sent: Duration,
    ) -> Result<Step<K, V>, Error> {
        let opened = match self.core.open(self.place, bytes) {
            Ok(opened) => opened,
            Err(unusable) => return self.unusable(unusable).await,
        };
        let soft_left = span(opened.record.soft_at() - now);
        if self.mode == Mode::Lease && soft_left <= self.core.early_span(&opened) {
            self.mode = Mode::Early;
            return Ok(Step::Again);
        }
        // To an early request this says that another refreshes already: no need to look again before it is stale.
        self.core
            .install(self.place, marked, &opened, sent, soft_left, self.mode == Mode::Lease);
        Ok(Step::Done(Acquired::Ready(self.core.fresh(&opened, soft_left))))
    }
}
