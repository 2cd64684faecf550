//! The handle to an engine, and the sessions on it.

use std::{sync::Arc, time::Duration};

use larder_base::{Clock, Random, metric::Metric};
use parking_lot::{Mutex, MutexGuard};

use crate::{
    client::{Client, ClientId, Peer, PushSink},
    core::Core,
    ctx::Ctx,
    dispatch,
    evict::EvictionPolicy,
    metric,
    reply::Reply,
    serve::ServeConfig,
    settings::{Settings, WireLimits},
};

/// Builds an [`Engine`]; every part has a default.
///
/// ```
/// use std::time::Duration;
///
/// use larder_base::{Clock, Random};
/// use larder_engine::{Engine, EvictionPolicy, Reply};
///
/// let (clock, hand) = Clock::manual();
/// let engine = Engine::builder()
///     .clock(clock)
///     .random(Random::seeded(7))
///     .maxmemory(100 << 20)
///     .policy(EvictionPolicy::AllKeysLru)
///     .build();
/// let session = engine.connect();
/// assert_eq!(session.execute(&[b"SET", b"k", b"v", b"EX", b"10"]), Reply::Ok);
/// hand.advance(Duration::from_secs(10));
/// assert_eq!(session.execute(&[b"GET", b"k"]), Reply::Null);
/// ```
#[derive(Debug, Default)]
pub struct EngineBuilder {
    clock: Clock,
    random: Random,
    settings: Settings,
}

impl EngineBuilder {
    /// The clock for expiry and `TIME`; the machine's by default.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The source of randomness for hashing, `RANDOMKEY`, eviction; the system's by default.
    #[must_use]
    pub fn random(mut self, random: Random) -> Self {
        self.random = random;
        self
    }

    /// At most so many bytes of keys and values; 0, the default, is no bound.
    #[must_use]
    pub fn maxmemory(mut self, bytes: usize) -> Self {
        self.settings.memory.max = bytes;
        self
    }

    /// What is evicted when `maxmemory` is reached; [`EvictionPolicy::NoEviction`] by default, which refuses writes.
    #[must_use]
    pub fn policy(mut self, policy: EvictionPolicy) -> Self {
        self.settings.memory.policy = policy;
        self
    }

    /// How long a script may run before it is ended with an error; 5 s by default. One that has already written
    /// gets six times as long, for ending it leaves half of its writes done.
    #[must_use]
    pub fn script_time(mut self, limit: Duration) -> Self {
        self.settings.script.time_max = limit;
        self
    }

    /// The engine.
    #[must_use]
    pub fn build(self) -> Engine {
        /// As Redis has by default.
        const DATABASES: usize = 16;
        let core = Core::new(DATABASES, self.settings, self.random, self.clock.clone());
        Engine {
            shared: Arc::new(Shared {
                core: Mutex::new(core),
                clock: self.clock,
            }),
        }
    }
}

/// An engine: databases, clients, scripts. A cheap clone; all clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    core: Mutex<Core>,
    clock: Clock,
}

impl Shared {
    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock()
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine {
    /// An empty engine in memory with the machine's clock and no bound on memory.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// An engine with its parts handed in.
    #[must_use]
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// The clock handed in.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Opens a session that receives no pushes.
    #[must_use]
    pub fn connect(&self) -> Session {
        self.open(None)
    }

    /// Opens a session whose invalidations and messages go to `sink`.
    #[must_use]
    pub fn connect_with(&self, sink: Arc<dyn PushSink>) -> Session {
        self.open(Some(sink))
    }

    /// Opens a session for a client of a server: it has an address, and must give the password if there is one.
    pub(crate) fn welcome(&self, sink: Arc<dyn PushSink>, peer: Peer) -> Session {
        let session = self.open(Some(sink));
        let mut turn = session.turn();
        let authenticated = turn.core().settings.password.is_empty();
        let client = turn.client();
        (client.peer, client.authenticated) = (peer, authenticated);
        drop(turn);
        session
    }

    /// Takes over what a server was told to ask of its clients.
    pub(crate) fn apply(&self, config: &ServeConfig) {
        let settings = &mut self.shared.core.lock().settings;
        if let Some(password) = config.password() {
            settings.password = password.into();
        }
        config.limit(&mut settings.wire);
    }

    pub(crate) fn wire_limits(&self) -> WireLimits {
        self.shared.core.lock().settings.wire
    }

    /// Looks for keys whose deadline has passed, at length; how many were removed.
    ///
    /// Commands do a little of this as they come. Whoever owns an engine that may stand idle calls this some ten times
    /// a second, so that dead keys do not hold memory.
    pub fn tick(&self) -> usize {
        let now = self.shared.clock.unix().as_millis() as u64;
        let mut core = self.shared.core.lock();
        let removed = core.sweep_at_length(now);
        core.settle_tracking();
        removed
    }

    /// From now on the process's metrics show this engine: its memory, clients, commands, evictions. With several
    /// engines shown at once, gauges show the one that was asked last.
    pub fn show_metrics(&self) {
        metric::METRICS.iter().for_each(Metric::describe);
        larder_base::metric::register(&self.shared);
    }

    /// Bytes held by keys and values, as `INFO` reports them and `maxmemory` bounds them.
    #[must_use]
    pub fn used_memory(&self) -> usize {
        self.shared.core.lock().used_memory()
    }

    fn open(&self, sink: Option<Arc<dyn PushSink>>) -> Session {
        let now = self.shared.clock.unix();
        let mut core = self.shared.core.lock();
        let id = core.next_client_id();
        core.stats.connections += 1;
        core.clients.insert(id, Client::new(id, sink, now));
        Session {
            shared: self.shared.clone(),
            id,
        }
    }
}

/// One client of an engine. Dropping it is closing the connection.
pub struct Session {
    shared: Arc<Shared>,
    id: ClientId,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Session").field(&self.id).finish()
    }
}

impl Session {
    /// This client's id, as `CLIENT ID` answers.
    #[must_use]
    pub const fn id(&self) -> ClientId {
        self.id
    }

    /// Takes the engine for a run of commands; others wait until it is dropped.
    pub(crate) fn turn(&self) -> Turn<'_> {
        let core = self.shared.core.lock();
        let now = self.shared.clock.unix();
        Turn { core, id: self.id, now }
    }

    /// Runs one command to completion: its name, then its arguments.
    #[must_use]
    pub fn execute(&self, args: &[&[u8]]) -> Reply {
        self.turn().execute(args)
    }

    /// Runs several commands without anyone else's in between, as a pipeline that happens not to be interrupted.
    #[must_use]
    pub fn execute_all(&self, commands: &[&[&[u8]]]) -> Vec<Reply> {
        let mut turn = self.turn();
        commands.iter().map(|args| turn.execute(args)).collect()
    }
}

/// The engine, held for a run of commands of one client: nobody else's come in between.
pub(crate) struct Turn<'a> {
    core: MutexGuard<'a, Core>,
    id: ClientId,
    now: Duration,
}

impl Turn<'_> {
    /// Runs one command to completion.
    pub(crate) fn execute(&mut self, args: &[&[u8]]) -> Reply {
        dispatch::run(&mut Ctx::new(&mut self.core, self.id, self.now), args)
    }

    pub(crate) fn client(&mut self) -> &mut Client {
        self.core
            .clients
            .get_mut(&self.id)
            .expect("a session's client is registered until the session is dropped")
    }

    pub(crate) fn core(&mut self) -> &mut Core {
        &mut self.core
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut core = self.shared.core.lock();
        core.stop_tracking(self.id);
        core.unwatch(self.id);
        core.unsubscribe_everything(self.id);
        core.clients.remove(&self.id);
    }
}
