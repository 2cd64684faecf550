//! The handle to an engine, and the sessions on it.

use std::{sync::Arc, time::Duration};

use larder_base::{Clock, Random, metric::Metric};
use parking_lot::{Mutex, MutexGuard};

use crate::{
    ErrorReply,
    client::{Client, ClientId, Peer, PushSink},
    core::Core,
    ctx::Ctx,
    dispatch,
    evict::EvictionPolicy,
    log::{Log, LogConfig, LogError, Receipt, Recorder},
    metric,
    reply::Reply,
    serve::ServeConfig,
    settings::{Settings, WireLimits},
    wait::{Answer, Patience, TIMED_OUT},
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
        let core = self.core();
        Engine {
            shared: Arc::new(Shared {
                core: Mutex::new(core),
                clock: self.clock,
                log: None,
            }),
        }
    }

    /// The engine with what its append-only log holds; from now on what is written goes there too. Reading the log
    /// carries every command out again, seconds for a million of them, and holds up the thread.
    ///
    /// # Errors
    /// Another engine has the folder; the disk refuses; the log is damaged, or foreign. Each says what to do.
    pub fn open(self, config: LogConfig) -> Result<Engine, LogError> {
        let mut core = self.core();
        let log = Log::open(&mut core, &self.clock, config)?;
        core.effects.recorder = Some(Box::new(Recorder::new(log.clone())));
        let shared = Arc::new(Shared {
            core: Mutex::new(core),
            clock: self.clock,
            log: Some(log.clone()),
        });
        log.belongs_to(Arc::downgrade(&shared));
        Ok(Engine { shared })
    }

    fn core(&self) -> Core {
        /// As Redis has by default.
        const DATABASES: usize = 16;
        Core::new(
            DATABASES,
            self.settings.clone(),
            self.random.clone(),
            self.clock.clone(),
        )
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
    log: Option<Arc<Log>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(log) = &self.log {
            log.close();
        }
    }
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
        core.serve_waiters(Duration::from_millis(now));
        core.settle_tracking();
        core.commit_effects();
        removed
    }

    /// Waits until everything that was written is in the log and would survive a loss of power, whatever the policy;
    /// at once without a log. Dropping the last handle does the same, and holds up the thread.
    ///
    /// # Errors
    /// The log is broken (`MISCONF`): what was not acknowledged under [`Fsync::Always`](crate::Fsync::Always) may be lost.
    ///
    /// # Cancel safety
    /// Dropping the future stops only the waiting.
    pub async fn flush(&self) -> Result<(), ErrorReply> {
        match &self.shared.log {
            Some(log) => log.queue.flushed().await,
            None => Ok(()),
        }
    }

    /// Whether it has an append-only log.
    #[must_use]
    pub fn is_logged(&self) -> bool {
        self.shared.log.is_some()
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
    ///
    /// On an engine whose log syncs before it answers this holds up the thread until the log got there; a task calls
    /// [`submit`](Self::submit) and [`settled`](Self::settled) instead. If the log fails meanwhile, the reply is that.
    #[must_use]
    pub fn execute(&self, args: &[&[u8]]) -> Reply {
        // Most engines keep no log, and a command takes a tenth of a microsecond: the rest is out of their way.
        if self.shared.log.is_none() {
            return self.turn().execute(args);
        }
        self.execute_logged(args)
    }

    #[inline(never)]
    fn execute_logged(&self, args: &[&[u8]]) -> Reply {
        let mut receipt = Receipt::default();
        let reply = self.submit(args, &mut receipt);
        match self.settle(receipt) {
            Ok(()) => reply,
            Err(error) => Reply::Error(error),
        }
    }

    /// Runs one command, and adds to `receipt` what its reply rests on: the reply may be shown when
    /// [`settled`](Self::settled) says so.
    #[must_use]
    #[inline]
    pub fn submit(&self, args: &[&[u8]], receipt: &mut Receipt) -> Reply {
        let mut turn = self.turn();
        let reply = turn.execute(args);
        turn.sign(receipt);
        reply
    }

    /// Runs one command as [`submit`](Self::submit) does, and if it is one that waits (`BLPOP`, `XREAD BLOCK`), waits as long
    /// as it says: by the engine's clock, in line behind those who came before. With the other methods such a command
    /// answers at once, as if its time were up; so it does here while the session waits already.
    ///
    /// # Cancel safety
    /// Dropping the future ends the wait, and nothing is taken. What was taken before it was dropped is gone, as with a
    /// connection that fails before the answer gets through.
    #[must_use]
    pub async fn submit_waiting(&self, args: &[&[u8]], receipt: &mut Receipt) -> Reply {
        let (reply, bell) = {
            let mut turn = self.turn();
            let reply = turn.execute_or_wait(args);
            turn.sign(receipt);
            if turn.patience().is_none() || !matches!(&reply, Reply::Many(none) if none.is_empty()) {
                return reply;
            }
            (reply, turn.client().wait.bell.clone())
        };
        drop(reply);
        let _patience = Impatience(self);
        loop {
            let patience = self.turn().patience();
            if let Some(answer) = self.turn().take_answer() {
                receipt.merge(answer.receipt);
                return answer.reply;
            }
            let clock = &self.shared.clock;
            match patience {
                None => return Reply::Error(ErrorReply::CLIENT_CLOSED),
                Some(Patience::Endless) => bell.notified().await,
                Some(Patience::Until(deadline)) => {
                    let left = deadline.saturating_sub(clock.monotonic());
                    if clock.timeout(left, bell.notified()).await.is_none() {
                        self.turn().time_out();
                    }
                }
            }
        }
    }

    /// Runs several commands as [`submit`](Self::submit) does, without anyone else's in between.
    #[must_use]
    pub fn submit_all(&self, commands: &[&[&[u8]]], receipt: &mut Receipt) -> Vec<Reply> {
        let mut turn = self.turn();
        let replies = commands.iter().map(|args| turn.execute(args)).collect();
        turn.sign(receipt);
        replies
    }

    /// Waits until the replies behind `receipt` may be shown: when what they rest on is in the log, as its policy asks.
    /// At once without a log.
    ///
    /// # Errors
    /// The log failed (`MISCONF`), and what these commands wrote may be lost: show this in place of their replies.
    ///
    /// # Cancel safety
    /// Dropping the future stops only the waiting.
    pub async fn settled(&self, receipt: Receipt) -> Result<(), ErrorReply> {
        match &self.shared.log {
            Some(log) => log.queue.settled(receipt).await,
            None => Ok(()),
        }
    }

    /// The same at once; `None` if it is yet to come.
    #[must_use]
    #[inline]
    pub fn settles(&self, receipt: Receipt) -> Option<Result<(), ErrorReply>> {
        match &self.shared.log {
            Some(log) => log.queue.settles(receipt),
            None => Some(Ok(())),
        }
    }

    fn settle(&self, receipt: Receipt) -> Result<(), ErrorReply> {
        match &self.shared.log {
            Some(log) => log.queue.settle(receipt),
            None => Ok(()),
        }
    }

    /// Runs several commands without anyone else's in between, as a pipeline that happens not to be interrupted. Waits
    /// as [`execute`](Self::execute) does.
    #[must_use]
    pub fn execute_all(&self, commands: &[&[&[u8]]]) -> Vec<Reply> {
        let mut receipt = Receipt::default();
        let replies = self.submit_all(commands, &mut receipt);
        match self.settle(receipt) {
            Ok(()) => replies,
            Err(error) => replies.iter().map(|_| Reply::Error(error.clone())).collect(),
        }
    }
}

/// Ends the wait of a session whose caller no longer waits.
struct Impatience<'a>(&'a Session);

impl Drop for Impatience<'_> {
    fn drop(&mut self) {
        let mut turn = self.0.turn();
        turn.core.leave_waiters(self.0.id);
        turn.take_answer();
    }
}

/// The engine, held for a run of commands of one client: nobody else's come in between.
pub(crate) struct Turn<'a> {
    core: MutexGuard<'a, Core>,
    id: ClientId,
    now: Duration,
}

impl Turn<'_> {
    /// Adds what the replies so far rest on.
    #[inline]
    pub(crate) fn sign(&mut self, receipt: &mut Receipt) {
        if let Some(recorder) = &mut self.core.effects.recorder {
            recorder.sign(receipt);
        }
    }

    /// Runs one command to completion.
    pub(crate) fn execute(&mut self, args: &[&[u8]]) -> Reply {
        dispatch::run(&mut Ctx::new(&mut self.core, self.id, self.now), args)
    }

    /// Runs one command, which may leave the client waiting: then the reply is none.
    pub(crate) fn execute_or_wait(&mut self, args: &[&[u8]]) -> Reply {
        let waits = self.client().wait.is_waiting();
        let mut ctx = Ctx::new(&mut self.core, self.id, self.now);
        ctx.may_wait = !waits;
        dispatch::run(&mut ctx, args)
    }

    /// For how long the client waits; `None` if it does not.
    pub(crate) fn patience(&mut self) -> Option<Patience> {
        let client = self.client();
        client.wait.patience().filter(|_| !client.closing)
    }

    /// The answer to a command that waited, once it is there.
    pub(crate) fn take_answer(&mut self) -> Option<Answer> {
        self.client().wait.take_answer()
    }

    /// The client has waited long enough.
    pub(crate) fn time_out(&mut self) {
        let id = self.id;
        self.core.end_wait(id, TIMED_OUT);
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
        core.leave_waiters(self.id);
        core.stop_tracking(self.id);
        core.unwatch(self.id);
        core.unsubscribe_everything(self.id);
        core.clients.remove(&self.id);
    }
}
