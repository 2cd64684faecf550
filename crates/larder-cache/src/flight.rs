//! Local single flight: which callers of one key may share one read and one load (protocol 1.4).
//!
//! A caller joins the flight whose request has not been handed to the connection yet. Once it has, later callers
//! gather in the *next* flight: an answer that may have been given before they came is not theirs. Per key
//! at most one flight runs and one waits. When the running flight hands its fill to the connection, the waiting
//! one is *adopted*: if the fill is answered OK, its members came before the value was stored and may have
//! it; if not, they start again. A local invalidation detaches the running flight: whoever comes after forms a new one.
//!
//! A flight belongs to nobody. One of its members leads it, in the member's own future; if that is dropped or
//! panics, the flight is open again and the next member that is woken leads.

use std::{
    collections::hash_map::{Entry, HashMap},
    hash::Hash,
    sync::Arc,
};

use ahash::RandomState;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use crate::{
    mutant::{self, Mutant},
    script::{NO_TOKEN, Token},
};

/// Enough shards that two threads seldom meet on one.
const SHARDS: usize = 16;

/// The flights of one cache; `T` is what a flight ends with.
pub(crate) struct Flights<K, T> {
    shards: Vec<Mutex<Table<K, T>>>,
    hasher: RandomState,
}

type Table<K, T> = HashMap<K, Arc<Flight<T>>, RandomState>;

struct Flight<T> {
    state: Mutex<State<T>>,
    changed: Notify,
}

struct State<T> {
    stage: Stage<T>,
    members: usize,
    /// Those who came after the request was handed on.
    next: Option<Arc<Flight<T>>>,
    /// Those of `next` who came before the fill was handed on.
    adopted: Option<Arc<Flight<T>>>,
    /// The lease request of a leader that went away, for the successor to replace.
    lost: Token,
}

enum Stage<T> {
    /// Waits for the flight before it.
    Queued,
    /// Any member may lead.
    Open,
    /// Led, its request not yet handed on: still open to all.
    Led,
    /// Its request is handed on.
    Underway,
    Done(T),
}

impl<T> Flight<T> {
    fn new(stage: Stage<T>) -> Arc<Self> {
        let state = State {
            stage,
            members: 0,
            next: None,
            adopted: None,
            lost: NO_TOKEN,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            changed: Notify::new(),
        })
    }
}

impl<K: Clone + Eq + Hash, T: Clone> Flights<K, T> {
    pub(crate) fn new() -> Arc<Self> {
        let hasher = RandomState::new();
        let shard = || Mutex::new(HashMap::with_hasher(hasher.clone()));
        Arc::new(Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher,
        })
    }

    fn table(&self, key: &K) -> MutexGuard<'_, Table<K, T>> {
        // The table's own hash uses the high and the low bits: take some from the middle.
        let shard = (self.hasher.hash_one(key) >> 24) as usize % SHARDS;
        self.shards[shard].lock()
    }

    /// Joins the flight of `key` that a caller coming now may share.
    pub(crate) fn join(self: &Arc<Self>, key: &K) -> Member<K, T> {
        let flight = match self.table(key).entry(key.clone()) {
            Entry::Occupied(current) => join_from(current.get()),
            Entry::Vacant(place) => {
                let flight = place.insert(Flight::new(Stage::Open)).clone();
                flight.state.lock().members = 1;
                flight
            }
        };
        Member {
            flights: self.clone(),
            key: key.clone(),
            flight,
        }
    }

    /// After this, callers no longer share what runs now: its members came before the invalidation, they do not. A flight
    /// whose request is not handed on yet will be answered from after it, and stays.
    pub(crate) fn detach(&self, key: &K) {
        if mutant::lives(Mutant::M11) {
            return;
        }
        if let Entry::Occupied(current) = self.table(key).entry(key.clone())
            && !matches!(current.get().state.lock().stage, Stage::Open | Stage::Led)
        {
            current.remove();
        }
    }

    /// [`detach`](Self::detach) for every key: after a clear or a tag invalidation, which may concern any.
    pub(crate) fn detach_all(&self) {
        if mutant::lives(Mutant::M11) {
            return;
        }
        self.shards.iter().for_each(|shard| shard.lock().clear());
    }

    /// How many keys have a flight now.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}

/// Counts the caller in, in `current` or in the flight after it.
fn join_from<T>(current: &Arc<Flight<T>>) -> Arc<Flight<T>> {
    let mut state = current.state.lock();
    if matches!(state.stage, Stage::Open | Stage::Led) {
        state.members += 1;
        return current.clone();
    }
    let next = state.next.get_or_insert_with(|| Flight::new(Stage::Queued)).clone();
    next.state.lock().members += 1;
    next
}

/// The first flight of the chain that still has members, opened.
fn open_first<T>(mut chain: Option<Arc<Flight<T>>>) -> Option<Arc<Flight<T>>> {
    while let Some(flight) = chain {
        let mut state = flight.state.lock();
        if state.members > 0 {
            state.stage = Stage::Open;
            drop(state);
            return Some(flight);
        }
        let after = state.next.take();
        drop(state);
        chain = after;
    }
    None
}

/// Puts `successor` in the place of `flight`, if that was not detached.
fn succeed<K: Clone + Eq + Hash, T>(
    table: &mut Table<K, T>,
    key: &K,
    flight: &Arc<Flight<T>>,
    successor: Option<&Arc<Flight<T>>>,
) {
    if !table.get(key).is_some_and(|current| Arc::ptr_eq(current, flight)) {
        return;
    }
    match successor {
        Some(successor) => _ = table.insert(key.clone(), successor.clone()),
        None => _ = table.remove(key),
    }
}

/// A caller in a flight.
pub(crate) struct Member<K: Clone + Eq + Hash, T: Clone> {
    flights: Arc<Flights<K, T>>,
    key: K,
    flight: Arc<Flight<T>>,
}

/// What comes to a waiting member.
pub(crate) enum Turn<K: Clone + Eq + Hash, T: Clone> {
    /// Lead the flight.
    Lead(Leader<K, T>),
    /// The flight ended with this.
    Done(T),
}

impl<K: Clone + Eq + Hash, T: Clone> Member<K, T> {
    /// The lead, if nobody has it; the outcome, if the flight has ended.
    pub(crate) fn try_turn(&self) -> Option<Turn<K, T>> {
        let mut state = self.flight.state.lock();
        match &state.stage {
            Stage::Open => {
                state.stage = Stage::Led;
                let lost = std::mem::replace(&mut state.lost, NO_TOKEN);
                drop(state);
                let (flights, key, flight) = (self.flights.clone(), self.key.clone(), self.flight.clone());
                Some(Turn::Lead(Leader {
                    flights,
                    key,
                    flight,
                    replaces: lost,
                }))
            }
            Stage::Done(outcome) => Some(Turn::Done(outcome.clone())),
            Stage::Queued | Stage::Led | Stage::Underway => None,
        }
    }

    /// Waits for the lead or the outcome.
    ///
    /// # Cancel safety
    /// Nothing is lost: a lead that nobody takes stays open.
    pub(crate) async fn turn(&self) -> Turn<K, T> {
        loop {
            let mut changed = std::pin::pin!(self.flight.changed.notified());
            changed.as_mut().enable();
            if let Some(turn) = self.try_turn() {
                return turn;
            }
            changed.await;
        }
    }
}

impl<K: Clone + Eq + Hash, T: Clone> Drop for Member<K, T> {
    fn drop(&mut self) {
        let mut state = self.flight.state.lock();
        state.members -= 1;
        if state.members > 0 || !matches!(state.stage, Stage::Open) {
            return;
        }
        // Nobody is left to lead: those who wait behind need not wait for it.
        drop(state);
        abandon(&self.flights, &self.key, &self.flight);
    }
}

/// Takes an open flight without members out of the way of those behind it.
fn abandon<K: Clone + Eq + Hash, T: Clone>(flights: &Arc<Flights<K, T>>, key: &K, flight: &Arc<Flight<T>>) {
    let mut table = flights.table(key);
    let mut state = flight.state.lock();
    if state.members > 0 || !matches!(state.stage, Stage::Open) {
        return; // somebody joined in between
    }
    let successor = open_first(state.next.take());
    drop(state);
    succeed(&mut table, key, flight, successor.as_ref());
    drop(table);
    if let Some(successor) = successor {
        successor.changed.notify_waiters();
    }
}

/// The one who reads and loads for a flight. Dropped without an outcome, it hands the lead to another member.
pub(crate) struct Leader<K: Clone + Eq + Hash, T: Clone> {
    flights: Arc<Flights<K, T>>,
    key: K,
    flight: Arc<Flight<T>>,
    /// The lease request of a leader before, to be replaced; zero if there was none.
    pub(crate) replaces: Token,
}

/// Who may have an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// Those who came before the request was handed on.
    Members,
    /// Also those who came before the fill was handed on: it was answered OK.
    Adopted,
}

impl<K: Clone + Eq + Hash, T: Clone> Leader<K, T> {
    /// To be called right before the request is handed to the connection: whoever comes now joins the next flight.
    pub(crate) fn handed_on(&self) {
        if mutant::lives(Mutant::M30) {
            return;
        }
        self.flight.state.lock().stage = Stage::Underway;
    }

    /// What was handed on came to nothing, and nothing is handed on for a while: whoever comes now may share what comes.
    pub(crate) fn reopen(&self) {
        self.flight.state.lock().stage = Stage::Led;
    }

    /// To be called right before the fill is handed to the connection: whoever came until now shares it if it is stored.
    pub(crate) fn fill_handed_on(&self) {
        let mut state = self.flight.state.lock();
        if state.adopted.is_some() {
            return;
        }
        let adopted = state.next.take();
        // Left over from a leader that went away: who waited for the end of its fill waits for that of this one.
        state.next = adopted.as_ref().and_then(|adopted| adopted.state.lock().next.take());
        state.adopted = adopted;
    }

    /// Notes the token of a request whose answer was not seen, in case this leader goes away.
    pub(crate) fn note_request(&self, token: Token) {
        self.flight.state.lock().lost = token;
    }

    /// Ends the flight.
    pub(crate) fn finish(self, outcome: T, share: Share) {
        let share = if mutant::lives(Mutant::M31) {
            Share::Adopted
        } else {
            share
        };
        // The table stays locked throughout: nobody may join a flight that is done.
        let mut table = self.flights.table(&self.key);
        let (next, adopted) = {
            let mut state = self.flight.state.lock();
            state.stage = Stage::Done(outcome.clone());
            (state.next.take(), state.adopted.take())
        };
        let successor = match (share, adopted) {
            (Share::Adopted, Some(adopted)) => {
                adopted.state.lock().stage = Stage::Done(outcome);
                adopted.changed.notify_waiters();
                open_first(next)
            }
            (Share::Members, Some(adopted)) => {
                adopted.state.lock().next = next;
                open_first(Some(adopted))
            }
            (_, None) => open_first(next),
        };
        succeed(&mut table, &self.key, &self.flight, successor.as_ref());
        drop(table);
        self.flight.changed.notify_waiters();
        if let Some(successor) = successor {
            successor.changed.notify_waiters();
        }
    }
}

impl<K: Clone + Eq + Hash, T: Clone> Drop for Leader<K, T> {
    fn drop(&mut self) {
        let members = {
            let mut state = self.flight.state.lock();
            if matches!(state.stage, Stage::Done(_)) {
                return;
            }
            state.stage = Stage::Open;
            if let Some(adopted) = state.adopted.take() {
                adopted.state.lock().next = state.next.take();
                state.next = Some(adopted);
            }
            state.members
        };
        if members == 0 {
            abandon(&self.flights, &self.key, &self.flight);
        }
        self.flight.changed.notify_waiters();
    }
}

#[cfg(test)]
#[path = "flight_tests.rs"]
mod tests;
