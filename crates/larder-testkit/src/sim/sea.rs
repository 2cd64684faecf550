//! The server, the clock, and who is connected.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_base::{Clock, ManualClock, Random};
use larder_engine::{Engine, serve::Server};
use larder_store::{Store, StoreConfig, StoreError};
use parking_lot::Mutex;
use tokio::io::DuplexStream;

use super::link::{Break, Dialer, Link};
use crate::{Answer, Wire};

/// How often something happened: as long as this moves, nobody waits for time alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Steps(Arc<AtomicU64>);

impl Steps {
    pub(super) fn take(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where the server of the moment accepts.
#[derive(Clone, Debug)]
pub(super) struct Port(Arc<Mutex<Option<Arc<Server>>>>);

impl Port {
    pub(super) fn accept(&self, stream: DuplexStream) -> io::Result<()> {
        match &*self.0.lock() {
            Some(server) => {
                server.accept(stream, "sim:0");
                Ok(())
            }
            None => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }
}

/// One process: its store, and its way to the server.
#[derive(Clone, Debug)]
pub struct Process {
    /// A store as the process would open it.
    pub store: Store,
    /// The network between the two.
    pub link: Arc<Link>,
}

/// A server that can be lost, with a network round it, on a clock of its own.
#[derive(Debug)]
pub struct Sea {
    clock: Clock,
    hand: ManualClock,
    random: Random,
    steps: Steps,
    engine: Mutex<Engine>,
    port: Port,
    links: Mutex<Vec<Arc<Link>>>,
}

impl Sea {
    /// A server with nothing in it. All that is random here follows from `random`.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    #[must_use]
    pub fn new(random: &Random) -> Self {
        let (clock, hand) = Clock::manual();
        let random = fork(random);
        let engine = engine(&clock, &random);
        let server = Server::unbound(engine.clone());
        Self {
            clock,
            hand,
            random,
            steps: Steps::default(),
            engine: Mutex::new(engine),
            port: Port(Arc::new(Mutex::new(Some(Arc::new(server))))),
            links: Mutex::default(),
        }
    }

    /// The clock of every process and of the server.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// One more process, connected.
    ///
    /// # Errors
    /// As [`Store::connect`].
    pub async fn process(&self) -> Result<Process, StoreError> {
        let (own, roads) = (fork(&self.random), fork(&self.random));
        let link = Link::new(self.port.clone(), self.clock.clone(), roads, self.steps.clone());
        self.links.lock().push(link.clone());
        let config = StoreConfig::tcp("sim", 6379)
            .clock(self.clock.clone())
            .random(own)
            .dialer(Arc::new(Dialer(link.clone())));
        let store = self.drive(Store::connect(config)).await?;
        Ok(Process { store, link })
    }

    /// A bare client of the server of this moment, without a network in between.
    #[must_use]
    pub fn wire(&self) -> Wire {
        Wire::embedded(&self.engine.lock())
    }

    /// Steps the server's wall clock and that of every process alone, as an administrator would.
    pub fn step_wall(&self, seconds: i64) {
        self.hand.step_wall(seconds);
    }

    /// Kills the server; it is back at once, and empty.
    pub fn restart_empty(&self) {
        self.replace(|_, _| ());
    }

    /// Replaces the server by another that has what `then` had: a replica that lagged behind, or a snapshot.
    pub fn fail_over(&self, then: &Snapshot) {
        self.replace(|wire, _| then.load(wire));
    }

    /// What the server holds now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(&mut self.wire())
    }

    fn replace(&self, fill: impl FnOnce(&mut Wire, &Clock)) {
        let engine = engine(&self.clock, &self.random);
        fill(&mut Wire::embedded(&engine), &self.clock);
        *self.engine.lock() = engine.clone();
        // Dropping the one before ends its connections.
        *self.port.0.lock() = Some(Arc::new(Server::unbound(engine)));
        for link in &*self.links.lock() {
            link.cut(Break::Reset);
        }
    }

    /// Does `work` while time moves whenever everyone only waits for it.
    ///
    /// # Panics
    /// If `work` waits for something that never comes.
    ///
    /// # Cancel safety
    /// Time stops.
    pub async fn drive<F: Future>(&self, work: F) -> F::Output {
        tokio::select! {
            biased;
            done = work => done,
            () = self.let_time_pass() => unreachable!("time does not end"),
        }
    }

    async fn let_time_pass(&self) {
        /// Turns without anything happening after which everyone waits for time.
        const IDLE: u32 = 15;
        /// So many such waits without an end mean that nobody will ever go on.
        const WAITS_MAX: u32 = 4_000_000;
        for _ in 0..WAITS_MAX {
            let before = self.steps.count();
            for _ in 0..IDLE {
                tokio::task::yield_now().await;
            }
            if self.steps.count() == before {
                let due = self.hand.next_due().unwrap_or_default();
                self.hand.advance(due.max(Duration::from_millis(1)));
            }
        }
        panic!("somebody waits for something that never comes");
    }
}

fn engine(clock: &Clock, random: &Random) -> Engine {
    Engine::builder().clock(clock.clone()).random(fork(random)).build()
}

fn fork(random: &Random) -> Random {
    Random::seeded(random.next_u64())
}

/// What a server held at some moment: strings, hashes and streams, with what was left of their time.
#[derive(Clone, Debug)]
pub struct Snapshot(Vec<(Vec<u8>, Kept, i64)>);

#[derive(Clone, Debug)]
enum Kept {
    Text(Vec<u8>),
    Hash(Vec<Vec<u8>>),
    /// Each item's id, and its fields with their values.
    Stream(Vec<(Vec<u8>, Vec<Vec<u8>>)>),
}

impl Snapshot {
    fn of(wire: &mut Wire) -> Self {
        let mut ask = |args: &[&[u8]]| wire.call(args).expect("the engine answers");
        let keys: Vec<Vec<u8>> = ask(&[b"KEYS", b"*"])
            .list()
            .iter()
            .map(|key| key.bytes().to_vec())
            .collect();
        let mut kept = Vec::new();
        for key in keys {
            let left = ask(&[b"PTTL", &key]).int();
            let bytes = |all: &Answer| all.list().iter().map(|item| item.bytes().to_vec()).collect();
            let value = match ask(&[b"TYPE", &key]).text().as_str() {
                "hash" => Kept::Hash(bytes(&ask(&[b"HGETALL", &key]))),
                "stream" => {
                    let items = ask(&[b"XRANGE", &key, b"-", b"+"]);
                    let item = |item: &Answer| (item.list()[0].bytes().to_vec(), bytes(&item.list()[1]));
                    Kept::Stream(items.list().iter().map(item).collect())
                }
                _ => Kept::Text(ask(&[b"GET", &key]).bytes().to_vec()),
            };
            kept.push((key, value, left));
        }
        Self(kept)
    }

    fn load(&self, wire: &mut Wire) {
        let mut tell = |args: &[&[u8]]| drop(wire.call(args).expect("the engine stores"));
        for (key, value, left) in &self.0 {
            match value {
                Kept::Text(text) => tell(&[b"SET", key, text]),
                Kept::Hash(items) => {
                    let mut args: Vec<&[u8]> = vec![b"HSET", key];
                    args.extend(items.iter().map(Vec::as_slice));
                    tell(&args);
                }
                Kept::Stream(items) => {
                    for (id, fields) in items {
                        let mut args: Vec<&[u8]> = vec![b"XADD", key, id];
                        args.extend(fields.iter().map(Vec::as_slice));
                        tell(&args);
                    }
                }
            }
            if *left > 0 {
                tell(&[b"PEXPIRE", key, left.to_string().as_bytes()]);
            }
        }
    }
}
