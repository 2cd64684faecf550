//! The engine in this process as a store: no socket, no encoding, one short lock.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use larder_base::metric::Text;
use larder_engine::{Engine, EngineBuilder, ErrorReply, LogConfig, PushSink, Receipt, Reply, Session};
use redis::{Arg, Cmd, Pipeline, PushKind, RedisError, RedisResult, Value};
use smallvec::SmallVec;

use crate::{
    Event, Fate, Heartbeat, Invalidations, Listening, ScriptCall, StoreConfig, StoreError, Stuck, Subscription,
    Transit,
    config::Target,
    figures::{self, Figures},
    listen::Listeners,
    queue::Queue,
    subscribe::{self, Topics},
    value,
};

/// Commands with more arguments than this take an allocation.
const INLINE_ARGS: usize = 8;

/// What errors call an engine in this process.
const ADDRESS: &str = "embedded:";

type Args<'a> = SmallVec<[&'a [u8]; INLINE_ARGS]>;

/// One client of an engine.
#[derive(Debug)]
pub(crate) struct Embedded {
    engine: Engine,
    session: Arc<Session>,
    listeners: Arc<Listeners>,
    transit: Option<Arc<dyn Transit>>,
    figures: Arc<Figures>,
    closed: AtomicBool,
}

impl Embedded {
    /// A new engine, as the settings say.
    pub(crate) fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        let Target::Embedded {
            maxmemory,
            policy,
            folder,
            fsync,
        } = &config.target
        else {
            unreachable!("called for an embedded target")
        };
        let builder = Engine::builder()
            .clock(config.clock.clone())
            .random(config.random.clone())
            .maxmemory(*maxmemory);
        let engine = match folder {
            Some(folder) => open_log(builder, folder, fsync.as_deref())?,
            None => builder.build(),
        };
        engine.show_metrics();
        let embedded = Self::join(engine, config)?;
        if let Some(policy) = policy {
            embedded.setup(&[b"CONFIG", b"SET", b"maxmemory-policy", policy.as_bytes()], "policy")?;
        }
        Ok(embedded)
    }

    /// One more client of `engine`.
    pub(crate) fn join(engine: Engine, config: &StoreConfig) -> Result<Self, StoreError> {
        let listeners = Listeners::new(1);
        let session = engine.connect_with(Arc::new(Sink(listeners.clone())));
        listeners.connected(0, Heartbeat::ALWAYS.sent);
        let embedded = Self {
            engine,
            session: Arc::new(session),
            listeners,
            transit: None,
            figures: Figures::of(&ADDRESS.into()),
            closed: AtomicBool::new(false),
        };
        embedded.setup(&[b"HELLO", b"3"], "resp")?;
        if config.db != 0 {
            embedded.setup(&[b"SELECT", config.db.to_string().as_bytes()], "db")?;
        }
        Ok(embedded)
    }

    /// The same client behind an imagined network.
    pub(crate) fn through(mut self, transit: Arc<dyn Transit>) -> Self {
        self.transit = Some(transit);
        self
    }

    pub(crate) fn has_transit(&self) -> bool {
        self.transit.is_some()
    }

    /// Runs a request, at once or after its travel. It is answered when the log of the engine is as far as the answer
    /// needs it; `run` adds that to the receipt.
    #[inline]
    pub(crate) async fn carry<T>(
        self: &Arc<Self>,
        command: impl Fn() -> Text,
        run: impl FnOnce(&Self, &mut Receipt) -> T,
        late: impl FnOnce(Arc<Self>) -> Box<dyn FnOnce() + Send>,
    ) -> Result<T, StoreError> {
        self.check_open()?;
        if let Some(transit) = &self.transit {
            // In a box, so that the way without a transit stays small.
            let name = command();
            let command = name.strip_prefix(figures::SCRIPT).unwrap_or(&name).into();
            return Box::pin(self.travel(transit, command, run, late)).await;
        }
        // An embedded command is always ready: without this a busy task would never let another one run.
        tokio::task::consume_budget().await;
        if self.figures.begin() {
            let clock = self.engine.clock();
            let began = clock.monotonic();
            let mut receipt = Receipt::default();
            let answer = run(self, &mut receipt);
            let settled = self.settled(receipt, &command).await;
            figures::timed(command(), clock.monotonic().saturating_sub(began));
            return settled.map(|()| answer);
        }
        let mut receipt = Receipt::default();
        let answer = run(self, &mut receipt);
        self.settled(receipt, &command).await?;
        Ok(answer)
    }

    /// Waits until an answer may be given.
    #[inline]
    pub(crate) async fn settled(&self, receipt: Receipt, command: impl Fn() -> Text) -> Result<(), StoreError> {
        let settled = match self.session.settles(receipt) {
            Some(settled) => settled,
            // In a box, so that the way without a log stays small.
            None => Box::pin(self.session.settled(receipt)).await,
        };
        settled.map_err(|error| unlogged(&error, &command()))
    }

    /// Lets a request travel: `run` is called when it arrives, or what `late` gives if it outlives its sender.
    async fn travel<T>(
        self: &Arc<Self>,
        transit: &Arc<dyn Transit>,
        command: Arc<str>,
        run: impl FnOnce(&Self, &mut Receipt) -> T,
        late: impl FnOnce(Arc<Self>) -> Box<dyn FnOnce() + Send>,
    ) -> Result<T, StoreError> {
        let mut receipt = Receipt::default();
        match transit.request(&command).await {
            Fate::Arrives => {
                let answer = run(self, &mut receipt);
                let name: Text = command.to_string().into();
                self.settled(receipt, || name.clone()).await?;
                transit.reply(&command).await;
                return Ok(answer);
            }
            Fate::ReplyLost => drop(run(self, &mut receipt)),
            Fate::Lost => {}
            Fate::Late => transit.stuck(Stuck(late(self.clone()))),
        }
        let address = ADDRESS.into();
        Err(StoreError::Lost { address, command })
    }

    fn setup(&self, args: &[&[u8]], setting: &str) -> Result<(), StoreError> {
        match self.submit(args) {
            Reply::Error(error) => Err(StoreError::config(format!("the engine refuses `{setting}`: {error}"))),
            _ => Ok(()),
        }
    }

    /// Runs a command that reads and writes no data, and so waits for no log.
    fn submit(&self, args: &[&[u8]]) -> Reply {
        without_data(&self.session, args)
    }

    #[inline]
    pub(crate) fn command(&self, cmd: &Cmd, receipt: &mut Receipt) -> Value {
        self.run(cmd, receipt)
    }

    /// The same of a command that may wait for data.
    pub(crate) async fn command_waiting(&self, cmd: &Cmd, receipt: &mut Receipt) -> Value {
        let words = with_args(cmd, to_owned);
        let args: Args<'_> = words.iter().map(Vec::as_slice).collect();
        value::from_reply(self.session.submit_waiting(&args, receipt).await)
    }

    /// A pipeline of commands some of which may wait, one after another.
    pub(crate) async fn commands_waiting(
        &self,
        pipeline: &Pipeline,
        offset: usize,
        count: usize,
        receipt: &mut Receipt,
    ) -> Vec<Value> {
        let mut answers = Vec::with_capacity(pipeline.len());
        for cmd in pipeline.cmd_iter() {
            answers.push(self.command_waiting(cmd, receipt).await);
        }
        answers.into_iter().skip(offset).take(count).collect()
    }

    /// A pipeline; an atomic one runs as one transaction.
    pub(crate) fn commands(
        &self,
        pipeline: &Pipeline,
        offset: usize,
        count: usize,
        receipt: &mut Receipt,
    ) -> RedisResult<Vec<Value>> {
        if pipeline.is_transaction() {
            return self.transaction(pipeline, offset, count, receipt);
        }
        Ok(pipeline
            .cmd_iter()
            .map(|cmd| self.run(cmd, receipt))
            .skip(offset)
            .take(count)
            .collect())
    }

    #[inline]
    fn run(&self, cmd: &Cmd, receipt: &mut Receipt) -> Value {
        value::from_reply(with_args(cmd, |args| self.session.submit(args, receipt)))
    }

    fn transaction(
        &self,
        pipeline: &Pipeline,
        offset: usize,
        count: usize,
        receipt: &mut Receipt,
    ) -> RedisResult<Vec<Value>> {
        let commands: Vec<Vec<Vec<u8>>> = pipeline.cmd_iter().map(|cmd| with_args(cmd, to_owned)).collect();
        let borrowed: Vec<Args<'_>> = commands
            .iter()
            .map(|args| args.iter().map(Vec::as_slice).collect())
            .collect();
        let mut all: Vec<&[&[u8]]> = Vec::with_capacity(borrowed.len() + 2);
        all.push(&[b"MULTI"]);
        all.extend(borrowed.iter().map(|args| &args[..]));
        all.push(&[b"EXEC"]);
        let mut replies = self.session.submit_all(&all, receipt);
        if let Some(Reply::Error(_)) = replies.last() {
            let error = replies.pop().map(value::from_reply).unwrap_or_default();
            return error.extract_error().map(|_| Vec::new());
        }
        Ok(replies
            .into_iter()
            .map(value::from_reply)
            .skip(offset)
            .take(count)
            .collect())
    }

    /// Runs a script, which is loaded on its first use.
    pub(crate) fn call(&self, call: &ScriptCall, receipt: &mut Receipt) -> Result<Value, StoreError> {
        let reply = match call.with_args(|args| self.session.submit(args, receipt)) {
            Reply::Error(error) if error.code() == "NOSCRIPT" => {
                let source = call.script().source(true).as_bytes();
                match self.session.submit(&[b"SCRIPT", b"LOAD", source], receipt) {
                    Reply::Error(error) => Reply::Error(error),
                    _ => call.with_args(|args| self.session.submit(args, receipt)),
                }
            }
            reply => reply,
        };
        value::from_reply(reply).extract_error().map_err(RedisError::into)
    }

    pub(crate) fn listen(&self, listener: Arc<dyn Invalidations>) -> Result<Listening, StoreError> {
        self.check_open()?;
        let listening = self.listeners.add(listener);
        self.setup(&[b"CLIENT", b"TRACKING", b"ON", b"NOLOOP"], "listen()")?;
        self.listeners.confirm();
        let session = Arc::downgrade(&self.session);
        Ok(listening.on_last(move || {
            // Without this the engine would go on remembering every key that is read.
            if let Some(session) = session.upgrade() {
                let _off = without_data(&session, &[b"CLIENT", b"TRACKING", b"OFF"]);
            }
        }))
    }

    /// A session of its own that listens to `topics`.
    pub(crate) fn subscribe(&self, topics: &Topics) -> Result<Subscription, StoreError> {
        let events = subscribe::queue();
        let session = self.engine.connect_with(Arc::new(Messages(events.clone())));
        let _greeting = without_data(&session, &[b"HELLO", b"3"]);
        for (command, names) in [
            (b"SUBSCRIBE".as_slice(), &topics.channels),
            (b"PSUBSCRIBE", &topics.patterns),
        ] {
            if names.is_empty() {
                continue;
            }
            let args: Args<'_> = std::iter::once(command)
                .chain(names.iter().map(Vec::as_slice))
                .collect();
            if let Reply::Error(error) = without_data(&session, &args) {
                return Err(StoreError::config(format!(
                    "the engine refuses the subscription: {error}"
                )));
            }
        }
        Ok(Subscription::new(events, session))
    }

    /// Refuses every further command of this client. The engine goes on for its other clients.
    pub(crate) async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        if let Err(error) = self.engine.flush().await {
            tracing::error!(%error, "the append-only log could not be synced at the end");
        }
    }

    pub(crate) fn check_open(&self) -> Result<(), StoreError> {
        if self.is_closed() {
            return Err(StoreError::Closed {
                address: ADDRESS.into(),
            });
        }
        Ok(())
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn figures(&self) -> &Figures {
        &self.figures
    }

    pub(crate) const fn engine(&self) -> &Engine {
        &self.engine
    }
}

fn without_data(session: &Session, args: &[&[u8]]) -> Reply {
    session.submit(args, &mut Receipt::default())
}

fn unlogged(error: &ErrorReply, command: &str) -> StoreError {
    StoreError::Unlogged {
        command: command.strip_prefix(figures::SCRIPT).unwrap_or(command).into(),
        reason: error.as_str().into(),
    }
}

fn open_log(builder: EngineBuilder, folder: &Path, fsync: Option<&str>) -> Result<Engine, StoreError> {
    let mut log = LogConfig::new(folder);
    if let Some(policy) = fsync {
        log = log.fsync(
            policy
                .parse()
                .map_err(|error| StoreError::config(format!("`fsync`: {error}")))?,
        );
    }
    builder.open(log).map_err(|error| StoreError::Log(Arc::new(error)))
}

/// Runs `run` with the arguments of `cmd`, borrowed where possible.
#[inline]
fn with_args<R>(cmd: &Cmd, run: impl FnOnce(&[&[u8]]) -> R) -> R {
    if cmd.in_scan_mode() {
        let owned = scan_args(cmd);
        let args: Args<'_> = owned.iter().map(Vec::as_slice).collect();
        return run(&args);
    }
    let args: Args<'_> = cmd.args_iter().filter_map(simple).collect();
    run(&args)
}

fn to_owned(args: &[&[u8]]) -> Vec<Vec<u8>> {
    args.iter().map(|arg| arg.to_vec()).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "it is what the iterator yields")]
fn simple(arg: Arg<&[u8]>) -> Option<&[u8]> {
    match arg {
        Arg::Simple(bytes) => Some(bytes),
        _ => None,
    }
}

/// The arguments of a command whose cursor the crate steps by itself: it shows that cursor in the packed form alone.
fn scan_args(cmd: &Cmd) -> Vec<Vec<u8>> {
    match redis::parse_redis_value(&cmd.get_packed_command()) {
        Ok(Value::Array(items)) => items
            .into_iter()
            .filter_map(|item| match item {
                Value::BulkString(bytes) => Some(bytes),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// Where the engine puts what nobody asked for.
struct Sink(Arc<Listeners>);

impl PushSink for Sink {
    fn push(&self, message: Reply) -> bool {
        if let Reply::Push(items) = message
            && let Some(push) = value::push(items)
            && push.kind == PushKind::Invalidate
        {
            self.0.pushed(&push);
        }
        true
    }
}

/// Where the engine puts the messages of a subscription.
struct Messages(Arc<Queue<Event>>);

impl PushSink for Messages {
    fn push(&self, message: Reply) -> bool {
        if let Reply::Push(items) = message
            && let Some(event) = value::push(items).and_then(subscribe::message)
        {
            self.0.push(event);
        }
        true
    }
}
