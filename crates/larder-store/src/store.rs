//! The handle.

use std::{fmt, sync::Arc, time::Duration};

use larder_base::{Clock, Random};
#[cfg(feature = "embedded")]
use larder_engine::{Engine, Receipt};
use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value, aio::ConnectionLike};

use crate::{
    BreakerState, Connections, Dedicated, Invalidations, Listening, Node, ScriptCall, StoreConfig, StoreError,
    StoreStats, Subscription, refuse, remote::Remote, subscribe::Topics,
};
#[cfg(feature = "embedded")]
use crate::{embedded::Embedded, figures::script_name};

/// One handle over the embedded engine, Redis or Valkey. A cheap clone; all clones share one connection.
///
/// It runs every command of the `redis` crate ([`redis::AsyncCommands`], [`redis::cmd`], [`redis::pipe`],
/// [`redis::Script`]) but those that block or change the connection, which all callers share: those are refused, naming
/// what to use.
///
/// # Deadlines and retries
/// A command takes at most [`StoreConfig::command_deadline`] (6 s by default), retries included. Replies that say "not
/// now" (`LOADING`, `BUSY`, `TRYAGAIN`, ..) are retried; a command whose outcome is unknown only if running it twice is as
/// good as once, and a script never.
///
/// # Cancel safety
/// Dropping the future of a command abandons its answer, not the command: it may have reached the server.
pub struct Store {
    pub(crate) inner: Arc<Inner>,
    seat: Seat,
}

/// What a clone that sends often keeps at hand. A clone begins without: many live for one command.
#[derive(Default)]
enum Seat {
    #[default]
    Unused,
    /// It sent one command; with the next one it takes a seat.
    Used,
    Taken(Option<(usize, crate::remote::Seat)>),
}

impl Clone for Store {
    fn clone(&self) -> Self {
        Self::from_inner(self.inner.clone())
    }
}

pub(crate) struct Inner {
    config: StoreConfig,
    backend: Backend,
}

enum Backend {
    #[cfg(feature = "embedded")]
    Embedded(Arc<Embedded>),
    Remote(Remote),
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.url()).finish()
    }
}

/// The URL, without secrets and parameters.
impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner.config, f)
    }
}

impl Store {
    /// Opens the store at `url` (see [`StoreConfig::from_url`]): connects, authenticates, selects the database, and asks
    /// for a `PING`.
    ///
    /// # Errors
    /// [`StoreError::Config`] and [`StoreError::NotBuilt`] for the URL; [`StoreError::Connect`], naming address and cause,
    /// after `max_attempts` attempts.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        Self::connect(StoreConfig::from_url(url)?).await
    }

    /// Opens the store that `config` describes.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn connect(config: StoreConfig) -> Result<Self, StoreError> {
        let store = Self::opened(config).await?;
        store.ping().await?;
        if let Backend::Remote(remote) = &store.inner.backend
            && store.inner.config.pool.min_idle > 0
        {
            remote.keep_pool();
        }
        Ok(store)
    }

    /// A store that connects at its first command: for programs that start while their store may be down.
    ///
    /// # Errors
    /// [`StoreError::Config`] and [`StoreError::NotBuilt`] for the URL.
    pub fn lazy(url: &str) -> Result<Self, StoreError> {
        Self::from_config(StoreConfig::from_url(url)?)
    }

    /// One more client of `engine`: two stores over one engine are to each other what two processes on one server are.
    ///
    /// # Panics
    /// Never with an engine of this version, which speaks RESP3.
    #[cfg(feature = "embedded")]
    #[must_use]
    pub fn embedded(engine: Engine) -> Self {
        let config = StoreConfig::embedded().clock(engine.clock().clone());
        let embedded = Embedded::join(engine, &config).expect("the engine speaks RESP3");
        Self::of(config, Backend::Embedded(Arc::new(embedded)))
    }

    /// [`embedded`](Self::embedded) behind an imagined network, on which `transit` decides what becomes of each request:
    /// for tests of what stands on a store. `random` is this client's own, so that a seed replays.
    ///
    /// # Panics
    /// As [`embedded`](Self::embedded).
    #[cfg(feature = "embedded")]
    #[must_use]
    pub fn embedded_through(engine: Engine, random: Random, transit: Arc<dyn crate::Transit>) -> Self {
        let config = StoreConfig::embedded().clock(engine.clock().clone()).random(random);
        let embedded = Embedded::join(engine, &config).expect("the engine speaks RESP3");
        Self::of(config, Backend::Embedded(Arc::new(embedded.through(transit))))
    }

    /// One more client of `engine`, with settings of its own (`db`, `clock`, `random`; the others are for servers).
    ///
    /// # Errors
    /// [`StoreError::Config`] for a database that the engine does not have.
    #[cfg(feature = "embedded")]
    pub fn embedded_with(engine: Engine, config: StoreConfig) -> Result<Self, StoreError> {
        let embedded = Embedded::join(engine, &config)?;
        Ok(Self::of(config, Backend::Embedded(Arc::new(embedded))))
    }

    /// [`from_config`](Self::from_config) beside the runtime where it reads a log, which takes a while.
    async fn opened(config: StoreConfig) -> Result<Self, StoreError> {
        if !config.is_logged() {
            return Self::from_config(config);
        }
        let opening = tokio::task::spawn_blocking(move || Self::from_config(config)).await;
        opening.map_err(|error| StoreError::Log(Arc::new(error)))?
    }

    fn from_config(config: StoreConfig) -> Result<Self, StoreError> {
        config.validate()?;
        let backend = if config.is_embedded() {
            embedded_backend(&config)?
        } else {
            Backend::Remote(Remote::new(&config))
        };
        Ok(Self::of(config, backend))
    }

    fn of(config: StoreConfig, backend: Backend) -> Self {
        Self::from_inner(Arc::new(Inner { config, backend }))
    }

    pub(crate) fn from_inner(inner: Arc<Inner>) -> Self {
        let seat = Seat::default();
        Self { inner, seat }
    }

    /// Asks the server for a sign of life and says how long that took.
    ///
    /// # Errors
    /// As any command: see [`StoreError`].
    pub async fn ping(&self) -> Result<Duration, StoreError> {
        let began = self.clock().monotonic();
        self.execute(&redis::cmd("PING")).await?.extract_error()?;
        Ok(self.clock().monotonic().saturating_sub(began))
    }

    /// Whether a connection is up right now; of an embedded store, whether it was not closed.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        match &self.inner.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => !embedded.is_closed(),
            Backend::Remote(remote) => remote.is_connected(),
        }
    }

    /// Whether the data is in this process.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.inner.config.is_embedded()
    }

    /// The engine behind an embedded store.
    #[cfg(feature = "embedded")]
    #[must_use]
    pub fn engine(&self) -> Option<&Engine> {
        match &self.inner.backend {
            Backend::Embedded(embedded) => Some(embedded.engine()),
            Backend::Remote(_) => None,
        }
    }

    /// Ends the connections. Commands that wait for an answer fail, and every later one does. What an embedded engine
    /// wrote to its append-only log is synced.
    ///
    /// # Cancel safety
    /// Commands are refused from the first poll on; only the wait for the tasks to end is lost.
    pub async fn close(&self) {
        match &self.inner.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => embedded.close().await,
            Backend::Remote(remote) => remote.close().await,
        }
    }

    /// The clock of this store.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.inner.config.clock
    }

    /// The source of randomness of this store.
    #[must_use]
    pub fn random(&self) -> &Random {
        &self.inner.config.random
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> &StoreConfig {
        &self.inner.config
    }

    /// The URL, without secrets and parameters.
    #[must_use]
    pub fn url(&self) -> String {
        self.to_string()
    }

    /// Runs a script.
    ///
    /// It is sent once: again only if the server certainly did not run it (`NOSCRIPT`, `LOADING`, a connection that was
    /// not there). On an unknown outcome ([`StoreError::is_unknown_outcome`]) the caller decides, with a new token.
    ///
    /// # Errors
    /// [`StoreError::Server`] with the script's own error, or what kept it from being answered.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the answer; the script may have run.
    pub async fn call(&self, call: &ScriptCall) -> Result<Value, StoreError> {
        match &self.inner.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => {
                let name = || script_name(call.script().name());
                let late = |embedded: Arc<Embedded>| {
                    later(call.clone(), move |call| {
                        drop(embedded.call(call, &mut Receipt::default()));
                    })
                };
                embedded
                    .carry(name, |embedded, receipt| embedded.call(call, receipt), late)
                    .await?
            }
            Backend::Remote(remote) => remote.call(call).await,
        }
    }

    /// Runs several scripts in one round trip, each with its own outcome, in the order of `calls`.
    ///
    /// # Cancel safety
    /// As [`call`](Self::call).
    pub async fn call_many(&self, calls: &[ScriptCall]) -> Vec<Result<Value, StoreError>> {
        match &self.inner.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) if embedded.has_transit() => {
                let run = |embedded: &Embedded, receipt: &mut Receipt| {
                    calls.iter().map(|call| embedded.call(call, receipt)).collect()
                };
                let late = |embedded: Arc<Embedded>| {
                    later(calls.to_vec(), move |calls| {
                        let mut receipt = Receipt::default();
                        calls.iter().for_each(|call| drop(embedded.call(call, &mut receipt)));
                    })
                };
                let carried = embedded.carry(|| "pipeline".into(), run, late).await;
                carried.unwrap_or_else(|error| calls.iter().map(|_| Err(error.clone())).collect())
            }
            #[cfg(feature = "embedded")]
            Backend::Embedded(_) => {
                let mut results = Vec::with_capacity(calls.len());
                for call in calls {
                    results.push(self.call(call).await);
                }
                results
            }
            Backend::Remote(remote) => remote.call_many(calls).await,
        }
    }

    /// Turns client tracking on for what this store reads, and tells `listener` of every key that someone else changed.
    ///
    /// Own changes are not told (`NOLOOP`), and end the tracking of the key they change. Dropping the [`Listening`] ends
    /// it. On a server the tracking is set up again on every new connection before that carries its first command.
    ///
    /// A server that cannot be reached now is no error: the listener stays lost until it can.
    ///
    /// # Errors
    /// What keeps tracking from ever being turned on: RESP2, a server before 6.0, a user without the right to it, a store that
    /// was closed.
    ///
    /// # Cancel safety
    /// Dropping the future ends the listening.
    pub async fn listen(&self, listener: Arc<dyn Invalidations>) -> Result<Listening, StoreError> {
        match &self.inner.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => embedded.listen(listener),
            Backend::Remote(remote) => remote.listen(listener).await,
        }
    }

    /// Tells of every connection that is established from now on.
    #[must_use]
    pub fn connections(&self) -> Connections {
        match &self.inner.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(_) => Connections::of(None),
            Backend::Remote(remote) => remote.connections(),
        }
    }

    /// What the stores at this address did in this process, and how they are now: connections, retries, overruns, the
    /// breaker. All embedded engines of a process count as one address, and have no connections.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        match &self.inner.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => embedded.figures().stats(),
            Backend::Remote(remote) => remote.stats(),
        }
    }

    /// Whether scripts may begin with `#!lua`.
    pub(crate) fn knows_shebang(&self) -> bool {
        match &self.inner.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(_) => true,
            Backend::Remote(remote) => remote.knows_shebang(),
        }
    }

    pub(crate) fn breaker(&self) -> BreakerState {
        match &self.inner.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(_) => BreakerState::Closed,
            Backend::Remote(remote) => remote.breaker(),
        }
    }

    pub(crate) fn node(&self) -> Node {
        match &self.inner.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(_) => Node {
                address: self.inner.config.address(),
                is_primary: true,
                generation: None,
            },
            Backend::Remote(remote) => remote.node(),
        }
    }

    pub(crate) async fn take_dedicated(&self) -> Result<Dedicated, StoreError> {
        let config = &self.inner.config;
        match &self.inner.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => {
                embedded.check_open()?;
                let own = Embedded::join(embedded.engine().clone(), config)?;
                Ok(Dedicated::embedded(own, config))
            }
            Backend::Remote(remote) => Ok(Dedicated::remote(remote.dedicated().await?, config)),
        }
    }

    pub(crate) async fn start_subscription(&self, topics: Topics) -> Result<Subscription, StoreError> {
        match &self.inner.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => {
                embedded.check_open()?;
                embedded.subscribe(&topics)
            }
            Backend::Remote(remote) => remote.subscribe(&self.inner.config, topics).await,
        }
    }

    /// What all clones of this handle have in common and no other store in this process has, while one of them lives.
    #[must_use]
    pub fn identity(&self) -> usize {
        Arc::as_ptr(&self.inner).addr()
    }

    /// Runs one command: what [`redis::Cmd::query_async`] does on a clone, without the clone and the box.
    ///
    /// # Errors
    /// The server's error reply as [`StoreError::Server`], or what kept it from answering.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the answer; the command may run.
    pub async fn run(&self, cmd: &Cmd) -> Result<Value, StoreError> {
        let reply = self.execute(cmd).await?;
        Ok(reply.extract_error()?)
    }

    #[inline]
    pub(crate) async fn execute(&self, cmd: &Cmd) -> RedisResult<Value> {
        match &self.inner.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => embedded_command(embedded, cmd).await,
            Backend::Remote(remote) => {
                refuse::check(cmd)?;
                remote.command(cmd).await
            }
        }
    }

    /// [`execute`](Self::execute) on a connection that this clone keeps at hand.
    #[inline]
    async fn execute_seated(remote: &Remote, seat: &mut Seat, cmd: &Cmd) -> RedisResult<Value> {
        refuse::check(cmd)?;
        match seat {
            Seat::Unused => *seat = Seat::Used,
            Seat::Used => *seat = Seat::Taken(remote.seat()),
            Seat::Taken(taken) => match remote.command_on(taken, cmd).await {
                Some(outcome) => return outcome,
                None => *seat = Seat::Unused,
            },
        }
        remote.command(cmd).await
    }

    async fn execute_all(&self, pipeline: &Pipeline, offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        refuse::check_all(pipeline)?;
        match &self.inner.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => {
                let run = move |embedded: &Embedded, pipeline: &Pipeline, receipt: &mut Receipt| {
                    embedded.commands(pipeline, offset, count, receipt)
                };
                let late = |embedded: Arc<Embedded>| {
                    later(pipeline.clone(), move |pipeline| {
                        drop(run(&embedded, pipeline, &mut Receipt::default()));
                    })
                };
                let name = || "pipeline".into();
                embedded
                    .carry(name, |embedded, receipt| run(embedded, pipeline, receipt), late)
                    .await?
            }
            Backend::Remote(remote) => remote.commands(pipeline, offset, count).await,
        }
    }
}

#[cfg(feature = "embedded")]
#[inline]
async fn embedded_command(embedded: &Arc<Embedded>, cmd: &Cmd) -> RedisResult<Value> {
    refuse::check(cmd)?;
    let late = |embedded: Arc<Embedded>| {
        later(cmd.clone(), move |cmd| {
            drop(embedded.command(cmd, &mut Receipt::default()));
        })
    };
    let name = || crate::command::label(cmd).into();
    Ok(embedded
        .carry(name, |embedded, receipt| embedded.command(cmd, receipt), late)
        .await?)
}

/// A run of `request` that outlives its sender.
#[cfg(feature = "embedded")]
fn later<R: Send + 'static>(request: R, run: impl FnOnce(&R) + Send + 'static) -> Box<dyn FnOnce() + Send> {
    Box::new(move || run(&request))
}

#[cfg(feature = "embedded")]
fn embedded_backend(config: &StoreConfig) -> Result<Backend, StoreError> {
    Embedded::open(config).map(Arc::new).map(Backend::Embedded)
}

#[cfg(not(feature = "embedded"))]
fn embedded_backend(_: &StoreConfig) -> Result<Backend, StoreError> {
    Err(StoreError::config(
        "`embedded:` needs the feature `embedded` of larder-store",
    ))
}

impl ConnectionLike for Store {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match &self.inner.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => Box::pin(embedded_command(embedded, cmd)),
            Backend::Remote(remote) => Box::pin(Self::execute_seated(remote, &mut self.seat, cmd)),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(self.execute_all(pipeline, offset, count))
    }

    fn get_db(&self) -> i64 {
        i64::from(self.inner.config.db)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The future of a command is allocated and moved for each one: what it may ever need besides must not be part of it.
    #[tokio::test]
    async fn the_future_of_a_command_is_small() {
        let cmd = redis::cmd("PING");
        let (near, _far) = tokio::io::duplex(64);
        let info = redis::RedisConnectionInfo::default().set_skip_set_lib_name();
        let (mut bare, _driver) = redis::aio::MultiplexedConnection::new(&info, near).await.unwrap();
        let bare = std::mem::size_of_val(&bare.send_packed_command(&cmd));

        let store = Store::open("embedded:").await.unwrap();
        let Backend::Embedded(engine) = &store.inner.backend else {
            panic!("embedded")
        };
        let embedded = std::mem::size_of_val(&embedded_command(engine, &cmd));
        assert!(embedded <= 512, "{embedded}");

        let store = Store::lazy("redis://localhost").unwrap();
        let Backend::Remote(server) = &store.inner.backend else {
            panic!("remote")
        };
        let remote = std::mem::size_of_val(&Store::execute_seated(server, &mut Seat::Used, &cmd));
        assert!(remote <= 2 * bare, "{remote} against {bare}");
    }
}
