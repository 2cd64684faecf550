//! The store's part of a read that may load: a hit, or the right to load, or the need to do without it (protocol 1.4).

use std::{sync::Arc, time::Duration};

use larder_base::CacheKey;
use larder_near::Entry;
use redis::Value;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error,
    coherence::{Copied, Marked},
    core::{Core, Lesson, Place, is_out_of_memory, is_unknown_outcome, is_wrong_type},
    flight::Leader,
    found::{Lookup, Outcome, Tier},
    lease::{LeaseGuard, poll_after},
    load::Old,
    mutant::{self, Mutant},
    open::{Opened, Unusable, span},
    record::Record,
    script::{Get, Got, Lease, Mode, NO_TOKEN, Token},
    settings::OnStoreDown,
    stats::Count,
};

/// How often a request for a lease whose answer was not seen is repeated: the store's own deadline has passed each time.
const ATTEMPTS: u32 = 3;

/// How often a damaged record or a key of a wrong type is removed in one read, before the read does without the store.
const REPAIRS: u32 = 3;

/// How long a read that has to wait for its turn to load does not look whether somebody else has loaded: a key with such a
/// limit is invalidated all the time, and each of that looks like news.
const PAUSE_LOOK: Duration = Duration::from_millis(50);

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

    async fn granted(
        &mut self,
        got: Got,
        guard: LeaseGuard<K, V>,
        marked: &Marked<K, V>,
        sent: Duration,
    ) -> Result<Step<K, V>, Error> {
        let (bytes, is_fallback, is_fresh) = match got.state {
            Lease::FallbackGranted(bytes) => (bytes, true, false),
            Lease::FreshGranted(bytes) => (bytes, false, true),
            Lease::StaleGranted(bytes) => (bytes, false, false),
            _ => return self.load(guard, None).await,
        };
        let opened = match self.core.open(self.place, bytes) {
            Ok(opened) => opened,
            Err(Unusable::Newer) => {
                guard.release().await;
                return Ok(Step::Done(Acquired::load_only()));
            }
            Err(Unusable::Corrupt | Unusable::Older) => return self.load(guard, None).await,
        };
        let found = if is_fresh {
            let soft_left = span(opened.record.soft_at() - got.now);
            self.core.install(self.place, marked, &opened, sent, soft_left, false);
            self.core.fresh(&opened, soft_left)
        } else {
            self.core.stale(&opened, got.now)
        };
        let old = self.core.old(&opened, found, got.now, sent, is_fallback);
        if is_fallback {
            self.load(guard, Some(old)).await
        } else {
            self.refresh(guard, old).await
        }
    }

    /// Loads under a lease, unless it is too early for that.
    async fn load(&mut self, lease: LeaseGuard<K, V>, old: Option<Old<V>>) -> Result<Step<K, V>, Error> {
        let now = self.core.now();
        if let Some(left) = self.core.refills.left(self.key, now) {
            lease.release().await;
            return Ok(self.pause(left).await);
        }
        match old {
            Some(old) if self.core.retries.left(self.key, now).is_some() => {
                lease.release().await;
                Ok(Step::Done(Acquired::Ready(old.found)))
            }
            old => Ok(Step::Done(Acquired::Load {
                lease: Some(lease),
                old,
                bypass: false,
            })),
        }
    }

    /// Serves an older value and refreshes it, unless it is too early for that.
    async fn refresh(&self, lease: LeaseGuard<K, V>, old: Old<V>) -> Result<Step<K, V>, Error> {
        let acquired = if self.core.refills.left(self.key, self.core.now()).is_some() {
            lease.release().await;
            Acquired::Ready(old.found)
        } else {
            Acquired::Refresh(old, lease)
        };
        Ok(Step::Done(acquired))
    }

    /// The key was loaded a moment ago: waits `left` for its next turn, or until somebody else has loaded it. Who comes
    /// meanwhile shares what comes then.
    async fn pause(&mut self, left: Duration) -> Step<K, V> {
        self.core.count(Count::LoadsPaced);
        self.leader.reopen();
        let marked = self.core.near.mark(self.key, self.place.address.partition);
        // What was given back is not watched any more; a look at it is, and sees what came in between.
        let seen = self.core.ask(&self.core.peek_step(self.place)).await;
        if seen.is_ok_and(|got| matches!(got.state, Lease::Hit(_) | Lease::Dirty(_))) {
            return Step::Again;
        }
        let look = PAUSE_LOOK.min(left);
        self.core.clock.sleep(look).await;
        let _woken = self.core.clock.timeout(left - look, marked.touched()).await;
        // What was waited for here is no load elsewhere.
        self.began = self.core.now();
        Step::Again
    }

    /// Another loads: sleep until it may have ended.
    async fn wait(&mut self, left: Duration, marked: &Marked<K, V>) -> Result<Step<K, V>, Error> {
        if !std::mem::replace(&mut self.waited, true) {
            self.core.count(Count::Waits);
        }
        let waited = self.core.now().saturating_sub(self.began);
        if waited >= self.core.settings.wait_budget() {
            self.core.count(Count::WaitsGivenUp);
            return Ok(Step::Done(Acquired::load_only()));
        }
        let mut poll = poll_after(&self.core.random, left);
        if let Some(limit) = self.core.settings.soft_deadline.filter(|_| !self.looked) {
            if waited >= limit {
                self.looked = true;
                return Ok(self.older_instead().await);
            }
            poll = poll.min(limit - waited);
        }
        let _woken = self.core.clock.timeout(poll, marked.touched()).await;
        Ok(Step::Again)
    }

    /// The load elsewhere takes longer than `soft_deadline`: what was marked stale may serve.
    async fn older_instead(&self) -> Step<K, V> {
        let Ok(got) = self.core.ask(&self.core.peek_step(self.place)).await else {
            return Step::Again;
        };
        let Lease::Fallback(bytes) = got.state else {
            return Step::Again;
        };
        match self.core.open(self.place, bytes) {
            Ok(opened) => {
                self.core.count(Count::SoftDeadlines);
                Step::Done(Acquired::Ready(self.core.stale(&opened, got.now)))
            }
            Err(_) => Step::Again,
        }
    }

    /// A record that cannot be used.
    async fn unusable(&mut self, unusable: Unusable) -> Result<Step<K, V>, Error> {
        self.repairs += 1;
        if self.repairs > REPAIRS {
            return Ok(Step::Done(Acquired::load_only()));
        }
        match unusable {
            Unusable::Newer => Ok(Step::Done(Acquired::load_only())),
            // Another overwrites it already.
            Unusable::Older if self.mode == Mode::Early => Ok(Step::Done(Acquired::load_only())),
            Unusable::Older => {
                self.mode = Mode::Early;
                Ok(Step::Again)
            }
            Unusable::Corrupt => match self.core.discard(self.key, self.place).await {
                Ok(()) => Ok(Step::Again),
                Err(error) => self.core.store_down(self.key, error).map(Step::Done),
            },
        }
    }

    /// The store did not answer, or with an error (protocol 1.3).
    async fn failed(&mut self, error: Error, token: Token) -> Result<Step<K, V>, Error> {
        if is_wrong_type(&error) && self.repairs < REPAIRS {
            self.repairs += 1;
            return match self.core.heal(&self.place.keys).await {
                Ok(()) => Ok(Step::Again),
                Err(error) => self.core.store_down(self.key, error).map(Step::Done),
            };
        }
        if is_out_of_memory(&error) {
            return self.peek_instead().await.map(Step::Done);
        }
        self.attempts += 1;
        if is_unknown_outcome(&error) && self.attempts < ATTEMPTS {
            self.replaces = token;
            return Ok(Step::Again);
        }
        self.core.store_down(self.key, error).map(Step::Done)
    }

    /// The store has no memory for a lease: what is there may still serve.
    async fn peek_instead(&mut self) -> Result<Acquired<K, V>, Error> {
        let sent = self.core.now();
        let got = match self.core.ask(&self.core.peek_step(self.place)).await {
            Ok(got) => got,
            Err(error) => return self.core.store_down(self.key, error),
        };
        let now = got.now;
        let (bytes, is_fresh, is_fallback) = match got.state {
            Lease::Hit(bytes) => (bytes, true, false),
            Lease::Stale(bytes) => (bytes, false, false),
            Lease::Fallback(bytes) => (bytes, false, true),
            Lease::Dirty(bytes) => return self.core.dirty(self.place, &bytes).map(Acquired::Ready),
            _ => return Ok(Acquired::load_only()),
        };
        let Ok(opened) = self.core.open(self.place, bytes) else {
            return Ok(Acquired::load_only());
        };
        if is_fresh {
            return Ok(Acquired::Ready(
                self.core.fresh(&opened, span(opened.record.soft_at() - now)),
            ));
        }
        let stale = self.core.stale(&opened, now);
        Ok(if is_fallback {
            Acquired::Load {
                lease: None,
                old: Some(self.core.old(&opened, stale, now, sent, true)),
                bypass: false,
            }
        } else {
            Acquired::Ready(stale)
        })
    }
}

impl<K, V> Core<K, V>
where
    K: CacheKey,
    V: DeserializeOwned + Send + Sync + 'static,
{
    /// `MGET E M`, taken if it is certain to be fresh: the record, and for how long it stays so.
    pub(crate) async fn fast_read(&self, place: &Place, sent: Duration) -> Result<Option<(Record, Duration)>, Error> {
        let Some(now) = self.server.latest(sent) else {
            return Ok(None);
        };
        let Some((record, meta)) = self.read_raw(place).await? else {
            return Ok(None);
        };
        let valid = record.is_valid_now(&meta, now);
        Ok(valid.then(|| {
            let soft_left = span(record.soft_at() - now);
            (record, soft_left)
        }))
    }

    /// E and M as they stand.
    async fn read_raw(&self, place: &Place) -> Result<Option<(Record, Vec<u8>)>, Error> {
        let mut command = redis::cmd("MGET");
        command.arg(place.keys.e().as_ref()).arg(place.keys.m().as_ref());
        let reply = self.store.run(&command).await;
        let items = match reply.map_err(|error| self.store_error("MGET", error))? {
            Value::Array(items) => items,
            _ => return Ok(None),
        };
        let mut items = items.into_iter();
        match (items.next(), items.next()) {
            (Some(Value::BulkString(e)), Some(Value::BulkString(m))) => Ok(Record::parse(e).map(|record| (record, m))),
            _ => Ok(None),
        }
    }

    /// How long before a value turns stale it is refreshed: a share of the TTL, or by XFetch (Vattani, Chierichetti and
    /// Lowenstein, *Optimal probabilistic cache stampede prevention*, VLDB 2015), whichever is earlier.
    pub(crate) fn early_span(&self, opened: &Opened<V>) -> Duration {
        let by_share = self.settings.refresh_ahead.map_or(Duration::ZERO, |share| {
            self.full_ttl(opened.value.is_none()).mul_f64(1.0 - share)
        });
        let by_cost = self.settings.xfetch.map_or(Duration::ZERO, |beta| {
            let cost = Duration::from_millis(u64::from(opened.record.load_cost_ms()));
            // 1 - U is in (0, 1], whose logarithm is finite.
            cost.mul_f64(beta * -(1.0 - self.random.unit()).ln())
        });
        by_share.max(by_cost)
    }

    /// Keeps a fresh value in the near tier: until it turns stale, or until it is to be looked at for a refresh.
    pub(crate) fn install(
        &self,
        place: &Place,
        marked: &Marked<K, V>,
        opened: &Opened<V>,
        sent: Duration,
        soft_left: Duration,
        look_early: bool,
    ) {
        // A push names a long key by its digest, which nobody can turn back into the key.
        if !self.near.has_near() || !place.address.is_reversible() {
            return;
        }
        let early = if look_early {
            self.early_span(opened)
        } else {
            Duration::ZERO
        };
        marked.install(Copied {
            value: opened.value.clone(),
            uid: opened.record.uid(),
            tagged: opened.record.is_tagged(),
            sent,
            fresh_for: soft_left.saturating_sub(early),
        });
    }

    /// A near copy that nobody vouches for, whether its own time is up or not.
    fn near_stale(&self, entry: Entry<V>) -> Lookup<V> {
        let (now, ends) = (self.now(), entry.deadline());
        let ttl = self.full_ttl(entry.value().is_none());
        let age = ttl
            .saturating_add(now.saturating_sub(ends))
            .checked_sub(ends.saturating_sub(now));
        // A copy whose time was cut short says nothing of its value's.
        let age = age.filter(|_| !self.near.is_bounded_by_time());
        Lookup::stale_of(entry.into_value(), Tier::Near, age, now.saturating_sub(ends))
    }

    /// What a read does when the store cannot be asked.
    pub(crate) fn store_down(&self, key: &K, error: Error) -> Result<Acquired<K, V>, Error> {
        match self.settings.on_store_down {
            OnStoreDown::Bypass { .. } => {
                self.count(Count::Bypasses);
                Ok(Acquired::past_the_store())
            }
            OnStoreDown::ServeNear { max_stale } => match self.near.stale(key, self.now(), max_stale) {
                Some(entry) => {
                    self.count(Count::Bypasses);
                    Ok(Acquired::Ready(self.near_stale(entry)))
                }
                None => Err(error),
            },
            OnStoreDown::Fail => Err(error),
        }
    }
}
