//! Client tracking: who wants to hear of invalidated keys, and the order in which they hear of it.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use redis::{PushInfo, Value};

/// How often a stream of invalidations is proven live, unless a listener wants it more often: four times within the
/// second for which a near tier usually trusts it, so that one slow answer silences nobody.
pub const HEARTBEAT: Duration = Duration::from_millis(250);

/// Proof that a stream of invalidations was live: a PING was answered in its turn, and with it everything that the server
/// had pushed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Heartbeat {
    /// When the PING was sent, on the monotonic clock of the store: what was changed earlier has been told.
    /// [`Duration::MAX`] where no time can pass in between, as on the embedded engine.
    pub sent: Duration,
    /// When its answer was there.
    pub received: Duration,
    /// The server's clock between the two, as time since 1970.
    pub server: Option<Duration>,
}

impl Heartbeat {
    /// Nothing to prove: invalidations arrive inside the command that causes them.
    pub const ALWAYS: Self = Self {
        sent: Duration::MAX,
        received: Duration::MAX,
        server: None,
    };

    /// Proof of a stream other than pushes: what was changed before `sent` has been told.
    #[must_use]
    pub const fn new(sent: Duration, received: Duration, server: Option<Duration>) -> Self {
        Self { sent, received, server }
    }
}

/// Told of every key that this store read and that someone changed since.
///
/// A listener begins as lost. [`restored`](Self::restored) comes first, from within
/// [`Store::listen`](crate::Store::listen); then `lost` and `restored` alternate, never at the same time as each other.
/// All of it is called in the place where the push arrives (on the embedded engine: inside the command that changed the
/// key), so it must be short, and must neither block nor use the store.
pub trait Invalidations: Send + Sync {
    /// These keys were changed, expired or evicted; `None`: all of them (`FLUSHALL`, or a tracking table that overflowed).
    fn invalidated(&self, keys: Option<&[&[u8]]>);
    /// The connection is gone: what was read before may be invalidated without a word. Called before the first command
    /// on a new connection.
    fn lost(&self);
    /// Tracking is on, checked, for everything read from now on. What was read before stays unproven.
    fn restored(&self);
    /// The stream was live at `beat.sent`. Comes right after [`restored`](Self::restored), then with every heartbeat; a
    /// stream that fell silent (a half-open connection, a stopped server) shows by its absence alone.
    fn confirmed(&self, beat: Heartbeat);
    /// How often this listener wants the stream proven; the shortest of all listeners counts. Default [`HEARTBEAT`].
    fn heartbeat(&self) -> Duration {
        HEARTBEAT
    }
}

impl State {
    /// Until when every connection was proven live; `None` while one is down.
    fn least_proven(&self) -> Option<Duration> {
        self.proven.iter().copied().min().flatten()
    }
}

/// The listeners of a store.
#[derive(Default)]
pub(crate) struct Listeners {
    /// What pushes go to: read without a lock, for it is on the way of every push.
    current: ArcSwap<Vec<Arc<dyn Invalidations>>>,
    /// Serialises `lost` and `restored`, so that nobody hears them in the wrong order.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Per shared connection, when it was last proven live; `None` while it is not up and tracked.
    proven: Vec<Option<Duration>>,
    /// Listeners that have been told `restored`, in step with `current`.
    up: Vec<bool>,
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listeners")
            .field("count", &self.current.load().len())
            .finish()
    }
}

impl Listeners {
    /// For a store of so many shared connections, none of them up.
    pub(crate) fn new(connections: usize) -> Arc<Self> {
        let listeners = Self::default();
        listeners.state.lock().proven = vec![None; connections];
        Arc::new(listeners)
    }

    /// How often the stream is to be proven live.
    pub(crate) fn heartbeat(&self) -> Duration {
        let listeners = self.current.load();
        listeners
            .iter()
            .map(|listener| listener.heartbeat())
            .min()
            .unwrap_or(HEARTBEAT)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.current.load().is_empty()
    }

    /// Adds a listener, which hears nothing before [`confirm`](Self::confirm) except invalidations.
    pub(crate) fn add(self: &Arc<Self>, listener: Arc<dyn Invalidations>) -> Listening {
        let mut state = self.state.lock();
        let mut all = self.current.load().as_ref().clone();
        all.push(listener.clone());
        state.up.push(false);
        self.current.store(Arc::new(all));
        Listening {
            listeners: Arc::downgrade(self),
            listener,
            on_last: None,
        }
    }

    /// Removes a listener. `turn_off` is run if it was the last one, before another can come.
    fn remove(&self, listener: &Arc<dyn Invalidations>, turn_off: impl FnOnce()) {
        let mut state = self.state.lock();
        let mut all = self.current.load().as_ref().clone();
        if let Some(index) = all.iter().position(|other| Arc::ptr_eq(other, listener)) {
            all.remove(index);
            state.up.remove(index);
        }
        let last = all.is_empty();
        self.current.store(Arc::new(all));
        if last {
            turn_off();
        }
    }

    /// Tracking is on on every connection: whoever has not heard so is told. `false` if a connection is down.
    pub(crate) fn confirm(&self) -> bool {
        let mut state = self.state.lock();
        let Some(sent) = state.least_proven() else {
            return false;
        };
        for (listener, up) in self.current.load().iter().zip(&mut state.up) {
            if !std::mem::replace(up, true) {
                listener.restored();
                listener.confirmed(Heartbeat::new(sent, sent, None));
            }
        }
        true
    }

    /// Connection `index` is up and tracked, and was proven live by a request sent at `sent`.
    pub(crate) fn connected(&self, index: usize, sent: Duration) {
        self.state.lock().proven[index] = Some(sent);
    }

    /// Connection `index` answered a heartbeat.
    pub(crate) fn confirmed(&self, index: usize, beat: Heartbeat) {
        let mut state = self.state.lock();
        if state.proven[index].is_none() {
            return;
        }
        state.proven[index] = Some(beat.sent);
        // What some connection has not proven, none has: a key may be tracked by any of them.
        let Some(sent) = state.least_proven() else { return };
        let listeners = self.current.load();
        let up = listeners.iter().zip(&state.up).filter(|(_, up)| **up);
        up.for_each(|(listener, _)| listener.confirmed(Heartbeat { sent, ..beat }));
    }

    /// Connection `index`, which was up and tracked, is gone.
    pub(crate) fn disconnected(&self, index: usize) {
        let mut state = self.state.lock();
        state.proven[index] = None;
        for (listener, up) in self.current.load().iter().zip(&mut state.up) {
            if std::mem::replace(up, false) {
                listener.lost();
            }
        }
    }

    /// Hands a push on, in the caller's own call.
    pub(crate) fn pushed(&self, push: &PushInfo) {
        let listeners = self.current.load();
        if listeners.is_empty() {
            return;
        }
        match push.data.first() {
            Some(Value::Array(keys)) => {
                let keys: Vec<&[u8]> = keys.iter().filter_map(bytes).collect();
                listeners.iter().for_each(|listener| listener.invalidated(Some(&keys)));
            }
            _ => listeners.iter().for_each(|listener| listener.invalidated(None)),
        }
    }
}

fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

/// Ends its listener's subscription when dropped. Not to be dropped from within a listener's own methods.
#[must_use = "dropping it ends the listening"]
pub struct Listening {
    listeners: Weak<Listeners>,
    listener: Arc<dyn Invalidations>,
    /// Turns tracking off when nobody listens any more.
    on_last: Option<Box<dyn Fn() + Send + Sync>>,
}

impl Listening {
    #[cfg(feature = "embedded")]
    pub(crate) fn on_last(mut self, turn_off: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_last = Some(Box::new(turn_off));
        self
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening").finish_non_exhaustive()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let turn_off = || self.on_last.iter().for_each(|turn_off| turn_off());
        if let Some(listeners) = self.listeners.upgrade() {
            listeners.remove(&self.listener, turn_off);
        }
    }
}
