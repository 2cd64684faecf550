//! What waits to be written to one client without having been asked for: invalidations and messages.
//!
//! Others fill it under the engine's lock; the client's own task empties it. Replies do not pass through it: the
//! task takes what is waiting before it runs a command and again after the reply, all under the engine's lock, so
//! that an invalidation of an earlier write precedes the reply of a later `PING`, and what a command causes for
//! its own client follows the reply.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use larder_base::Clock;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{PushSink, Reply, Resp, serve::encode::encode, settings::OutputLimit};

/// One client's waiting pushes.
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// Whether `state` holds bytes: saves the lock for each command of a client that is sent nothing.
    waiting: AtomicBool,
    /// Bytes of replies and pushes that the task took and the socket did not yet take.
    unsent: AtomicUsize,
    closed: AtomicBool,
    draining: AtomicBool,
    wake: Notify,
    clock: Clock,
}

struct State {
    bytes: Vec<u8>,
    resp: Resp,
    limit: OutputLimit,
    over_soft_since: Option<Duration>,
}

impl Outbox {
    pub(crate) fn new(clock: Clock, limit: OutputLimit) -> Self {
        Self {
            state: Mutex::new(State {
                bytes: Vec::new(),
                resp: Resp::V2,
                limit,
                over_soft_since: None,
            }),
            waiting: AtomicBool::new(false),
            unsent: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            wake: Notify::new(),
            clock,
        }
    }

    /// Moves what waits to the end of `out`.
    pub(crate) fn take(&self, out: &mut Vec<u8>) {
        // Relaxed: callers hold the engine's lock, as pushers do, or look again after the wake-up.
        if self.waiting.swap(false, Ordering::Relaxed) {
            let mut state = self.state.lock();
            out.append(&mut state.bytes);
            if state.bytes.capacity() > KEPT_MAX {
                state.bytes = Vec::new();
            }
        }
    }

    /// Takes over what the client's last command changed.
    pub(crate) fn adapt(&self, resp: Resp, limit: OutputLimit) {
        let mut state = self.state.lock();
        (state.resp, state.limit) = (resp, limit);
    }

    /// Says how much the socket has yet to take; `false` if that is too much.
    pub(crate) fn note_unsent(&self, bytes: usize) -> bool {
        if self.unsent.swap(bytes, Ordering::Relaxed) == 0 && bytes == 0 {
            return true;
        }
        let mut state = self.state.lock();
        let waiting = state.bytes.len() + bytes;
        state.admits(waiting, &self.clock)
    }

    /// Whether the engine closed the client.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Asks the client's task to answer what it has received, and then to end.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Waits for a push, a close or a drain. A wake-up may be spurious.
    ///
    /// # Cancel safety
    /// Nothing is lost: a wake-up that was not seen is kept for the next wait.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }
}

/// A buffer beyond this is given back when it is empty.
const KEPT_MAX: usize = 64 << 10;

impl State {
    /// Whether so many waiting bytes are within the limit.
    fn admits(&mut self, waiting: usize, clock: &Clock) -> bool {
        let OutputLimit { soft, soft_for, .. } = self.limit;
        if !self.limit.admits(waiting) {
            return false;
        }
        if soft == 0 || waiting <= soft {
            self.over_soft_since = None;
            return true;
        }
        let now = clock.coarse();
        now - *self.over_soft_since.get_or_insert(now) <= soft_for
    }
}

impl PushSink for Outbox {
    fn push(&self, message: Reply) -> bool {
        let mut state = self.state.lock();
        let resp = state.resp;
        let was_empty = state.bytes.is_empty();
        encode(&mut state.bytes, &message, resp);
        let waiting = state.bytes.len() + self.unsent.load(Ordering::Relaxed);
        let admitted = state.admits(waiting, &self.clock);
        drop(state);
        self.waiting.store(true, Ordering::Relaxed);
        if was_empty {
            self.wake.notify_one();
        }
        admitted
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }
}
