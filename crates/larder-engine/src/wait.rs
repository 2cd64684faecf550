//! Commands that wait: who waits for which key, and who is served when one changes.
//!
//! A command that finds nothing leaves what it [wants](Wanted) with its client, and has no reply yet. When a command, a
//! script or a transaction of anyone is over, those who wait for keys that it changed are offered them, in the order in
//! which they came; one that takes something has its answer, and its bell is rung. Nobody waits inside a transaction or a
//! script, or where the caller cannot: there a command answers as if its time were up.
//!
//! As in Redis, an element that was taken for a client whose connection then fails before the answer gets through is gone:
//! who must not lose it moves it (`BLMOVE`), or reads it through a group (`XREADGROUP`). A client that is known to be gone
//! takes nothing.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use ahash::HashMap;
use indexmap::IndexSet;
use tokio::sync::Notify;

use crate::{
    Receipt, Reply,
    client::{Client, ClientId},
    command::CommandResult,
    core::Core,
    ctx::Ctx,
    db::Key,
    notify::Class,
};

/// Takes what a client wants from a key that changed; `None` if it is not there.
pub(crate) type Wanted = Box<dyn Fn(&mut Ctx<'_>, &[u8]) -> Option<CommandResult> + Send>;

/// A key of a database.
type Place = (usize, Key);

/// What a client waits for.
pub(crate) struct Waiting {
    places: Vec<Place>,
    /// When its time is up, on the monotonic clock; never if none.
    deadline: Option<Duration>,
    /// A further key that it changes when it is served.
    pub(crate) destination: Option<Key>,
    /// Whether it is to hear of it when the key goes.
    pub(crate) minds_absence: bool,
    wanted: Wanted,
}

/// The late answer to a command that waited, and what it rests on.
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    pub(crate) receipt: Receipt,
}

/// Until when a client waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    Endless,
    /// On the monotonic clock.
    Until(Duration),
}

/// A client's part in waiting.
#[derive(Default)]
pub(crate) struct Wait {
    now: Option<Waiting>,
    answer: Option<Answer>,
    /// Rung when there is an answer, or when the client is closed.
    pub(crate) bell: Arc<Notify>,
}

impl Wait {
    pub(crate) const fn is_waiting(&self) -> bool {
        self.now.is_some()
    }

    /// For how long it goes on waiting; `None` if it does not wait.
    pub(crate) fn patience(&self) -> Option<Patience> {
        let waiting = self.now.as_ref()?;
        Some(waiting.deadline.map_or(Patience::Endless, Patience::Until))
    }

    /// The answer, once.
    pub(crate) fn take_answer(&mut self) -> Option<Answer> {
        self.answer.take()
    }
}

/// Who waits for what.
#[derive(Default)]
pub(crate) struct Waits {
    /// Those who wait for a key, the first one first.
    queues: HashMap<Place, VecDeque<ClientId>>,
    /// Keys that changed while someone waits for them, in that order.
    changed: IndexSet<Place, ahash::RandomState>,
    waiting: usize,
    /// How many of them mind the absence of a key.
    minding: usize,
}

impl Waits {
    /// How many clients wait.
    pub(crate) const fn len(&self) -> usize {
        self.waiting
    }

    fn note(&mut self, place: Place) {
        if self.queues.contains_key(&place) {
            self.changed.insert(place);
        }
    }

    fn leave(&mut self, id: ClientId, waiting: &Waiting) {
        self.waiting -= 1;
        self.minding -= usize::from(waiting.minds_absence);
        for place in &waiting.places {
            if let Some(queue) = self.queues.get_mut(place) {
                queue.retain(|waiter| *waiter != id);
                if queue.is_empty() {
                    self.queues.remove(place);
                }
            }
        }
    }
}

impl Waiting {
    /// Waits for one of these keys of the selected database.
    pub(crate) fn on(ctx: &Ctx<'_>, keys: &[&[u8]], timeout: Option<Duration>, wanted: Wanted) -> Self {
        let mut places: Vec<Place> = Vec::with_capacity(keys.len());
        for key in keys {
            if !places.iter().any(|(_, known)| **known == **key) {
                places.push((ctx.db, Key::from(*key)));
            }
        }
        Self {
            places,
            deadline: timeout.map(|span| ctx.core.clock.monotonic().saturating_add(span)),
            destination: None,
            minds_absence: false,
            wanted,
        }
    }
}

impl Ctx<'_> {
    /// Lets the client wait, if it may: then there is no reply yet. `None` if it may not.
    pub(crate) fn wait(&mut self, waiting: Waiting) -> Option<Reply> {
        if !self.may_wait {
            return None;
        }
        let id = self.client;
        let waits = &mut self.core.waits;
        waits.waiting += 1;
        waits.minding += usize::from(waiting.minds_absence);
        for place in &waiting.places {
            waits.queues.entry(place.clone()).or_default().push_back(id);
        }
        self.client().wait.now = Some(waiting);
        Some(Reply::Many(Vec::new()))
    }
}

impl Core {
    /// A key changed. Only what may give a reader of a stream more counts of its changes.
    #[inline]
    pub(crate) fn note_for_waiters(&mut self, db: usize, key: &[u8], class: Class, event: &str) {
        if self.waits.waiting > 0 && (class != Class::Stream || matches!(event, "xadd" | "xgroup-destroy")) {
            self.waits.note((db, key.into()));
        }
    }

    /// A whole database changed.
    pub(crate) fn note_all_for_waiters(&mut self, db: usize) {
        let waits = &mut self.waits;
        let mut places: Vec<Place> = waits.queues.keys().filter(|(at, _)| *at == db).cloned().collect();
        // One order, whatever the hashes are.
        places.sort_unstable();
        waits.changed.extend(places);
    }

    /// Offers the keys that changed to those who wait for them. What is taken may give others what they wait for.
    #[inline]
    pub(crate) fn serve_waiters(&mut self, now: Duration) {
        while !self.waits.changed.is_empty() {
            for place in std::mem::take(&mut self.waits.changed) {
                self.offer(&place, now);
            }
        }
    }

    fn offer(&mut self, place: &Place, now: Duration) {
        let was_there = self.dbs[place.0].entry(&place.1).is_some();
        let mut at = 0;
        while let Some(id) = self.waits.queues.get(place).and_then(|queue| queue.get(at)).copied() {
            let used_up = was_there && self.dbs[place.0].entry(&place.1).is_none();
            if used_up && self.waits.minding == 0 {
                return;
            }
            // One who is served leaves the queue, and the next one is in its place.
            at += usize::from(!self.offer_to(id, place, now));
        }
    }

    /// Whether the client took what it wants.
    fn offer_to(&mut self, id: ClientId, place: &Place, now: Duration) -> bool {
        let Some(waiting) = self.clients.get_mut(&id).and_then(|client| client.wait.now.take()) else {
            return false;
        };
        let pushed = self.effects.begin_late();
        let keys = std::iter::once(&place.1).chain(&waiting.destination);
        self.keep_before_change(place.0, keys.map(|key| &**key));
        let taken = (waiting.wanted)(&mut Ctx::new(self, id, now), &place.1);
        let receipt = self.end_late(pushed);
        match taken {
            None => {
                self.client_of(id).wait.now = Some(waiting);
                false
            }
            Some(result) => {
                if let Err(error) = &result {
                    self.stats.count_error(error);
                }
                self.waits.leave(id, &waiting);
                self.answer(id, result.into(), receipt);
                true
            }
        }
    }

    fn client_of(&mut self, id: ClientId) -> &mut Client {
        self.clients.get_mut(&id).expect("whoever waits is registered")
    }

    fn answer(&mut self, id: ClientId, reply: Reply, receipt: Receipt) {
        let wait = &mut self.client_of(id).wait;
        wait.answer = Some(Answer { reply, receipt });
        wait.bell.notify_one();
    }

    /// Ends a client's wait with this answer; whether it waited.
    pub(crate) fn end_wait(&mut self, id: ClientId, reply: Reply) -> bool {
        let waited = self.leave_waiters(id);
        if waited {
            self.answer(id, reply, Receipt::default());
        }
        waited
    }

    /// The client wants nothing any more; whether it did.
    pub(crate) fn leave_waiters(&mut self, id: ClientId) -> bool {
        let waiting = self.clients.get_mut(&id).and_then(|client| client.wait.now.take());
        if let Some(waiting) = &waiting {
            self.waits.leave(id, waiting);
        }
        waiting.is_some()
    }
}

/// The answer of a command whose time is up.
pub(crate) const TIMED_OUT: Reply = Reply::NullArray;
