//! The handle on a store.

use std::{fmt, time::Duration};

use crate::redis::{self, Cmd, RedisResult, Value, aio::ConnectionLike as _};
use larder_base::{Clock, Random};
use larder_store::{Connections, Generation, Health, Node, ScriptCall, StoreConfig, StoreError, StoreStats};

use super::{Dedicated, Runtime, Subscription, on::On, packed, waits};

/// [`larder::Store`](crate::Store), blocking: the `redis` crate's blocking commands, pipelines and scripts run on it.
///
/// ```
/// use larder::{blocking::Store, redis::{self, Commands as _}};
///
/// # fn main() -> Result<(), larder::BoxError> {
/// let mut store = Store::open("embedded:")?;
/// let () = store.set("greeting", "hello")?;
/// let (greeting, visits): (String, u64) = redis::pipe().get("greeting").incr("visits", 1).query(&mut store)?;
/// assert_eq!((greeting.as_str(), visits), ("hello", 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Store {
    pub(super) on: On<crate::Store>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.on, f)
    }
}

/// The URL, without secrets and parameters.
impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&*self.on, f)
    }
}

/// The runtime that the process shares.
fn shared() -> Result<Runtime, StoreError> {
    Runtime::shared().map_err(|error| redis::RedisError::from(error).into())
}

impl Store {
    /// Opens the store at `url`, on the runtime that the process shares.
    ///
    /// # Errors
    /// As [the async function](crate::Store::open); or no thread could be started.
    #[track_caller]
    pub fn open(url: &str) -> Result<Self, StoreError> {
        Self::open_on(&shared()?, url)
    }

    /// Opens the store at `url`, on a runtime of one's own.
    ///
    /// # Errors
    /// As [the async function](crate::Store::open).
    #[track_caller]
    pub fn open_on(runtime: &Runtime, url: &str) -> Result<Self, StoreError> {
        Ok(Self::wrap(runtime.block_on(crate::Store::open(url))?, runtime))
    }

    /// Opens the store that `config` describes.
    ///
    /// # Errors
    /// As [the async function](crate::Store::connect).
    #[track_caller]
    pub fn connect(config: StoreConfig) -> Result<Self, StoreError> {
        let runtime = shared()?;
        Ok(Self::wrap(runtime.block_on(crate::Store::connect(config))?, &runtime))
    }

    /// A store that connects at its first command.
    ///
    /// # Errors
    /// As [the async function](crate::Store::lazy).
    pub fn lazy(url: &str) -> Result<Self, StoreError> {
        let runtime = shared()?;
        Ok(Self::wrap(runtime.inside(|| crate::Store::lazy(url))?, &runtime))
    }

    /// The store of this process for `url`.
    ///
    /// # Errors
    /// As [the async function](crate::Store::shared).
    #[track_caller]
    pub fn shared(url: &str) -> Result<Self, StoreError> {
        let runtime = shared()?;
        Ok(Self::wrap(runtime.block_on(crate::Store::shared(url))?, &runtime))
    }

    /// The store that the environment names.
    ///
    /// # Errors
    /// As [the async function](crate::Store::from_env).
    #[track_caller]
    pub fn from_env() -> Result<Self, StoreError> {
        let runtime = shared()?;
        Ok(Self::wrap(runtime.block_on(crate::Store::from_env())?, &runtime))
    }

    /// The blocking face of `store`, whose tasks live on `runtime` ([`Runtime::current`] where it was opened).
    #[must_use]
    pub fn wrap(store: crate::Store, runtime: &Runtime) -> Self {
        let on = On::new(store, runtime.clone());
        Self { on }
    }

    /// The async face, for futures that [`runtime`](Self::runtime) runs.
    #[must_use]
    pub fn as_async(&self) -> &crate::Store {
        &self.on
    }

    /// The threads behind it.
    #[must_use]
    pub const fn runtime(&self) -> &Runtime {
        self.on.runtime()
    }

    waits! { "Store";
        /// Asks the server for a sign of life and says how long that took.
        fn ping(&self) -> Result<Duration, StoreError>;
        /// Runs a script.
        fn call(&self, call: &ScriptCall) -> Result<Value, StoreError>;
        /// Runs one command.
        fn run(&self, cmd: &Cmd) -> Result<Value, StoreError>;
    }

    /// Runs several scripts in one round trip; see [the async method](crate::Store::call_many).
    #[track_caller]
    pub fn call_many(&self, calls: &[ScriptCall]) -> Vec<Result<Value, StoreError>> {
        self.on.wait(self.on.call_many(calls))
    }

    /// Looks at the store; see [the async method](crate::Store::health).
    #[track_caller]
    pub fn health(&self) -> Health {
        self.on.wait(self.on.health())
    }

    /// Ends the connections; see [the async method](crate::Store::close).
    #[track_caller]
    pub fn close(&self) {
        self.on.wait(self.on.close());
    }

    /// Takes a connection of one's own from the pool.
    ///
    /// # Errors
    /// As [the async method](crate::Store::dedicated).
    #[track_caller]
    pub fn dedicated(&self) -> Result<Dedicated, StoreError> {
        let own = self.on.wait(self.on.dedicated())?;
        Ok(Dedicated {
            on: self.on.beside(own),
        })
    }

    /// Listens to `channels`.
    ///
    /// # Errors
    /// As [the async method](crate::Store::subscribe).
    #[track_caller]
    pub fn subscribe(
        &self,
        channels: impl IntoIterator<Item = impl Into<Vec<u8>>>,
    ) -> Result<Subscription, StoreError> {
        let subscription = self.on.wait(self.on.subscribe(channels))?;
        Ok(Subscription::of(self.on.beside(subscription), self.clock()))
    }

    /// Listens to all channels that match one of `patterns`.
    ///
    /// # Errors
    /// As [the async method](crate::Store::subscribe_patterns).
    #[track_caller]
    pub fn subscribe_patterns(
        &self,
        patterns: impl IntoIterator<Item = impl Into<Vec<u8>>>,
    ) -> Result<Subscription, StoreError> {
        let subscription = self.on.wait(self.on.subscribe_patterns(patterns))?;
        Ok(Subscription::of(self.on.beside(subscription), self.clock()))
    }

    /// Runs `work` once per primary, one after another; see [the async method](crate::Store::each_primary).
    ///
    /// # Errors
    /// The first error of `work`, which ends it.
    #[track_caller]
    pub fn each_primary<T, E>(&self, mut work: impl FnMut(Self) -> Result<T, E>) -> Result<Vec<T>, E>
    where
        E: From<StoreError>,
    {
        let gather = async |primaries: crate::Store| Ok::<_, StoreError>(primaries);
        let primaries = self.on.wait(self.on.each_primary(gather))?;
        let run = |primary| work(Self::wrap(primary, self.runtime()));
        primaries.into_iter().map(run).collect()
    }

    /// Whether a connection is up right now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.on.is_connected()
    }

    /// Whether the data is in this process.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.on.is_embedded()
    }

    /// The clock of this store.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        self.on.clock()
    }

    /// The source of randomness of this store.
    #[must_use]
    pub fn random(&self) -> &Random {
        self.on.random()
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> &StoreConfig {
        self.on.config()
    }

    /// The URL, without secrets and parameters.
    #[must_use]
    pub fn url(&self) -> String {
        self.on.url()
    }

    /// What the stores at this address did in this process.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        self.on.stats()
    }

    /// What all clones of this handle have in common.
    #[must_use]
    pub fn identity(&self) -> usize {
        self.on.identity()
    }

    /// The servers behind this store.
    #[must_use]
    pub fn topology(&self) -> Vec<Node> {
        self.on.topology()
    }

    /// Which run of which server the store is connected to.
    #[must_use]
    pub fn generation(&self) -> Option<Generation> {
        self.on.generation()
    }

    /// Tells of every connection that is established from now on, to a future.
    #[must_use]
    pub fn connections(&self) -> Connections {
        self.on.connections()
    }
}

impl redis::ConnectionLike for Store {
    fn req_packed_command(&mut self, cmd: &[u8]) -> RedisResult<Value> {
        self.req_command(&packed::command(cmd)?)
    }

    fn req_packed_commands(&mut self, cmd: &[u8], offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        let pipeline = packed::pipeline(cmd, offset)?;
        self.on
            .wait_mut(|store| store.req_packed_commands(&pipeline, offset, count))
    }

    fn req_command(&mut self, cmd: &Cmd) -> RedisResult<Value> {
        self.on.wait_mut(|store| store.req_packed_command(cmd))
    }

    fn get_db(&self) -> i64 {
        self.on.get_db()
    }

    fn check_connection(&mut self) -> bool {
        self.ping().is_ok()
    }

    fn is_open(&self) -> bool {
        self.is_connected()
    }
}
