//! What the tests share: every kind of place a store can be at, and a listener that writes down what it hears.

#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod gate;

use std::{sync::Arc, time::Duration};

use larder_base::Clock;
use larder_engine::{
    Engine,
    serve::{ServeConfig, Server},
};
use larder_store::{Heartbeat, Invalidations, Store, StoreConfig};
use larder_testkit::RedisServer;
use parking_lot::Mutex;

/// Longer than anything that is waited for takes, even on a machine busy with compiling.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// What `work` gives, which it does soon or fails the test.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    Clock::system().timeout(SOON, work).await.expect("it happens soon")
}

/// Where the data is.
pub(crate) enum Place {
    Embedded(Engine),
    Serve(Server),
    Redis(RedisServer),
}

impl Place {
    /// A store there, as one more process would open it.
    pub(crate) async fn store(&self) -> Store {
        self.store_with(|config| config).await
    }

    /// The same, with settings on top.
    pub(crate) async fn store_with(&self, set: impl FnOnce(StoreConfig) -> StoreConfig) -> Store {
        let port = match self {
            Self::Embedded(engine) => {
                let config = set(StoreConfig::embedded());
                return Store::embedded_with(engine.clone(), config).expect("the settings are right");
            }
            Self::Serve(server) => server.local_addr().expect("it was bound to TCP").port(),
            Self::Redis(server) => server.port(),
        };
        let config = set(StoreConfig::tcp("127.0.0.1", port));
        Store::connect(config).await.expect("the server is up")
    }
}

/// Runs a test at every kind of place: on a redis-server, on an engine in this process, on one served over TCP.
pub(crate) async fn everywhere(test: impl AsyncFn(&Place)) {
    let bind = ServeConfig::new().bind("127.0.0.1:0");
    let served = Server::start(Engine::new(), bind)
        .await
        .expect("loopback has a free port");
    let redis = RedisServer::start().await;
    for place in [
        Place::Redis(redis),
        Place::Embedded(Engine::new()),
        Place::Serve(served),
    ] {
        test(&place).await;
    }
}

/// What a listener heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Keys(Vec<String>),
    All,
    Lost,
    Restored,
}

/// Writes down what it hears.
#[derive(Debug, Default)]
pub(crate) struct Ear(Mutex<Vec<Heard>>, Mutex<Vec<Heartbeat>>);

impl Ear {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.0.lock().clone()
    }

    /// The heartbeats heard so far.
    pub(crate) fn beats(&self) -> Vec<Heartbeat> {
        self.1.lock().clone()
    }

    pub(crate) fn has(&self, what: &Heard) -> bool {
        self.0.lock().contains(what)
    }

    pub(crate) fn count(&self, what: &Heard) -> usize {
        self.0.lock().iter().filter(|heard| *heard == what).count()
    }
}

impl Invalidations for Ear {
    fn invalidated(&self, keys: Option<&[&[u8]]>) {
        let heard = match keys {
            None => Heard::All,
            Some(keys) => Heard::Keys(
                keys.iter()
                    .map(|key| String::from_utf8_lossy(key).into_owned())
                    .collect(),
            ),
        };
        self.0.lock().push(heard);
    }

    fn lost(&self) {
        self.0.lock().push(Heard::Lost);
    }

    fn restored(&self) {
        self.0.lock().push(Heard::Restored);
    }

    fn confirmed(&self, beat: Heartbeat) {
        self.1.lock().push(beat);
    }

    fn heartbeat(&self) -> Duration {
        BEAT
    }
}

/// How often an ear wants the stream proven.
pub(crate) const BEAT: Duration = Duration::from_millis(20);

/// The keys, as an ear hears them.
pub(crate) fn keys<const N: usize>(names: [&str; N]) -> Heard {
    Heard::Keys(names.map(str::to_owned).to_vec())
}
