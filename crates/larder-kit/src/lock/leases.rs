//! Leases in a store, of whatever kind: asked for, waited for, given back.

use std::{fmt, sync::Arc, time::Duration};

use larder_base::{Clock, KeyLabel};
use larder_store::{Store, StoreError};

use super::{
    Fence, Grant, Guard, Keeper, LockError, OwnerToken,
    builder::Settings,
    grace::Grace,
    kind::{Answer, Kind, Step, whole_millis},
    lease::{Claim, StoreLease},
    pause::Pauses,
    token::Token,
};
use crate::{
    ToolKey,
    mutant::{self, Mutant},
    reply,
};

/// How often a request whose answer was not seen is repeated: the store's own deadline has passed each time.
const ATTEMPTS: usize = 3;

/// What an acquiring script is told beside token, ttl and the attempt it repeats.
#[derive(Clone, Debug)]
pub(super) enum Own {
    Nothing,
    /// The same each time.
    Always(Arc<str>),
    /// For how long, in ms, a caller who waits wants to be known as waiting; 0 for one who does not.
    Waits(Duration),
}

/// All leases of one kind in one namespace of a store.
pub(super) struct Leases {
    store: Store,
    kind: &'static Kind,
    own: Own,
    ttl: Duration,
    wait: Duration,
    keeper: Keeper,
    grace: Option<Grace>,
}

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leases")
            .field("tool", &self.kind.tool)
            .field("namespace", self.keeper.namespace().text())
            .finish_non_exhaustive()
    }
}

/// A key's place in the store, and how it shows.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) stem: Arc<str>,
    label: KeyLabel,
}

/// What one request came to.
enum Attempt {
    Granted(Guard),
    /// Another has it, for so long if nobody renews it.
    Busy(Duration),
}

impl Leases {
    pub(super) fn new(settings: &Settings, kind: &'static Kind, own: Own) -> Result<Arc<Self>, LockError> {
        let store = settings.checked_store()?;
        let keeper = Keeper::new(&settings.namespace, store.clock())?.watchdog(settings.watchdog);
        Ok(Arc::new(Self {
            kind,
            own,
            ttl: settings.ttl,
            wait: settings.wait,
            keeper,
            grace: settings.grace.map(|span| Grace::new(span, &store)),
            store,
        }))
    }

    pub(super) const fn wait(&self) -> Duration {
        self.wait
    }

    pub(super) const fn ttl(&self) -> Duration {
        self.ttl
    }

    pub(super) const fn store(&self) -> &Store {
        &self.store
    }

    pub(super) const fn clock(&self) -> &Clock {
        self.keeper.clock()
    }

    pub(super) fn place<K: ToolKey + ?Sized>(&self, key: &K) -> Place {
        Place {
            stem: self.keeper.namespace().stem(self.kind.tool, key).into(),
            label: self.keeper.label(key.written().as_str()),
        }
    }

    /// One attempt, for one who does not wait.
    pub(super) async fn try_acquire(self: &Arc<Self>, place: Place) -> Result<Option<Guard>, LockError> {
        match self.attempt(&place, false).await? {
            Attempt::Granted(guard) => Ok(Some(guard)),
            Attempt::Busy(_) => Ok(None),
        }
    }

    /// Attempts until one is granted, or `wait` is over.
    pub(super) async fn acquire_within(self: &Arc<Self>, place: Place, wait: Duration) -> Result<Guard, LockError> {
        let began = self.clock().monotonic();
        let mut pauses = Pauses::new(self.store.random());
        loop {
            let busy_for = match self.attempt(&place, true).await? {
                Attempt::Granted(guard) => return Ok(guard),
                Attempt::Busy(left) => left,
            };
            let waited = self.clock().monotonic().saturating_sub(began);
            if waited >= wait {
                let key = place.label;
                return Err(LockError::Busy { key, waited });
            }
            let pause = pauses.next(busy_for).min(wait.saturating_sub(waited));
            self.clock().sleep(pause).await;
        }
    }

    async fn attempt(self: &Arc<Self>, place: &Place, waits: bool) -> Result<Attempt, LockError> {
        let attempt = self.ask(place, waits).await;
        match &attempt {
            Ok(Attempt::Granted(_)) => {}
            Ok(Attempt::Busy(_)) => self.keeper.count_busy(),
            Err(_) => self.keeper.count_failed(),
        }
        attempt
    }

    /// Asks once; again, under a new token, as long as no answer is seen.
    async fn ask(self: &Arc<Self>, place: &Place, waits: bool) -> Result<Attempt, LockError> {
        if let Some(left) = self.grace.as_ref().and_then(|grace| grace.left(&self.store)) {
            return Ok(Attempt::Busy(left));
        }
        // Each token that may have been granted. What is dropped here is given back in the background.
        let mut claims: Vec<Claim> = Vec::new();
        loop {
            let replaces = claims.last().map_or(Token::NONE, Claim::token);
            claims.push(self.claim(place, self.draw(replaces)));
            let token = claims.last().map_or(Token::NONE, Claim::token);
            let sent = self.keeper.now();
            match self.send(place, token, replaces, waits).await {
                Ok(Answer::Mine { fence, left }) => {
                    let grant = Grant { sent, left, fence };
                    return self.granted(place, claims, grant);
                }
                Ok(Answer::Not { left }) => {
                    // This one was answered. An earlier one may be the holder: it goes.
                    settle_last(&mut claims);
                    return Ok(Attempt::Busy(left));
                }
                Err(error) if error.is_unknown_outcome() && claims.len() < ATTEMPTS => {}
                Err(error) => {
                    if !error.is_unknown_outcome() {
                        settle_last(&mut claims);
                    }
                    return Err(error.into());
                }
            }
        }
    }

    fn claim(&self, place: &Place, token: Token) -> Claim {
        let (hold, stem) = (&self.kind.hold, place.stem.clone());
        let lease = StoreLease::new(&self.store, hold, self.ttl, stem, token);
        Claim::new(lease, self.keeper.tasks())
    }

    /// A token for this attempt alone.
    fn draw(&self, replaces: Token) -> Token {
        if mutant::lives(Mutant::M50) && replaces != Token::NONE {
            return replaces;
        }
        Token::draw(self.store.random())
    }

    async fn send(&self, place: &Place, token: Token, replaces: Token, waits: bool) -> Result<Answer, StoreError> {
        let acquire = &self.kind.acquire;
        let call = acquire
            .call_for(&place.stem, token)
            .int(whole_millis(self.ttl))
            .arg(replaces.bytes());
        let call = match &self.own {
            Own::Nothing => call,
            Own::Always(text) => call.arg(text.as_bytes()),
            Own::Waits(span) => call.int(if waits { whole_millis(*span) } else { 0 }),
        };
        acquire.read(&self.store.call(&call).await?)
    }

    /// The last of `claims` was granted, in place of those before it.
    fn granted(&self, place: &Place, mut claims: Vec<Claim>, grant: Grant) -> Result<Attempt, LockError> {
        // The answer may have come from a server that knows nothing of holders before it.
        if let Some(left) = self.grace.as_ref().and_then(|grace| grace.left(&self.store)) {
            return Ok(Attempt::Busy(left));
        }
        let last = claims.pop().map(Claim::into_lease);
        claims.into_iter().for_each(Claim::settle);
        let lease = last.expect("each request has a claim");
        self.keeper
            .guard(place.label.clone(), lease, grant)
            .map(Attempt::Granted)
    }

    /// Has every fence from now on be above `seen`.
    pub(super) async fn raise(&self, place: &Place, raise: &Step, seen: Fence) -> Result<Fence, LockError> {
        let call = raise.call(&place.stem).int(seen.into()).int(whole_millis(self.ttl));
        let highest = reply::integer(&self.store.call(&call).await?)?;
        Ok(Fence::new(highest.unsigned_abs()))
    }

    /// Takes over what `token` holds.
    pub(super) async fn adopt(self: &Arc<Self>, place: Place, token: &OwnerToken) -> Result<Guard, LockError> {
        let adopt = self
            .kind
            .hold
            .adopt
            .as_ref()
            .expect("only kinds with a token that can be handed on are adopted");
        // As in `ask`: any of them may have taken it over, until one is answered.
        let mut claims: Vec<Claim> = Vec::new();
        loop {
            let replaces = claims.last().map_or(Token::NONE, Claim::token);
            let claim = self.claim(&place, Token::draw(self.store.random()));
            let call = adopt.call_for(&place.stem, claim.token()).int(whole_millis(self.ttl));
            let call = call.arg(token.token().bytes()).arg(replaces.bytes());
            claims.push(claim);
            let sent = self.keeper.now();
            match self.store.call(&call).await.and_then(|reply| adopt.read(&reply)) {
                Ok(Answer::Mine { fence, left }) => {
                    let lease = claims.pop().map(Claim::into_lease);
                    claims.into_iter().for_each(Claim::settle);
                    let lease = lease.expect("each request has a claim");
                    return self.keeper.guard(place.label, lease, Grant { sent, left, fence });
                }
                Ok(Answer::Not { .. }) => {
                    settle_last(&mut claims);
                    return Err(LockError::NotHeld { key: place.label });
                }
                Err(error) if error.is_unknown_outcome() && claims.len() < ATTEMPTS => {}
                Err(error) => {
                    if !error.is_unknown_outcome() {
                        settle_last(&mut claims);
                    }
                    return Err(error.into());
                }
            }
        }
    }
}

/// Nothing is held under the last one.
fn settle_last(claims: &mut Vec<Claim>) {
    if let Some(claim) = claims.pop() {
        claim.settle();
    }
}
