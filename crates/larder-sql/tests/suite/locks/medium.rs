//! The store that grants locks, and what can be done to it.

use std::time::Duration;

use larder_base::{Clock, Random, Tasks};
use larder_testkit::{Kind, LarderServer, RedisServer, Topology, Wire};

use super::work::Work;

const HOUR: i64 = 3_600;

/// How often a clock that is moved by hand catches up with the machine's.
const TICK: Duration = Duration::from_millis(2);

/// Something that happens to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mishap {
    /// `FLUSHALL`.
    Flush,
    /// `kill -9`, and a start without its data.
    Restart,
    /// Its clock steps by an hour, forwards or back.
    Step,
    /// Every connection that is a lock is ended.
    Terminate,
}

pub(super) enum Medium {
    Redis(RedisServer),
    Engine(LarderServer),
    Moved(Moved),
    /// The database in which the work is done.
    Postgres,
}

/// An engine whose clock goes with the machine's, but for its steps.
pub(super) struct Moved {
    topology: Topology,
    /// By how many hours it is ahead.
    ahead: i64,
    _catching_up: Tasks,
}

impl Medium {
    pub(super) async fn redis() -> Self {
        Self::Redis(RedisServer::start().await)
    }

    /// `larder serve`, a process of its own.
    pub(super) async fn engine() -> Self {
        let started = tokio::task::spawn_blocking(LarderServer::start).await;
        Self::Engine(started.expect("no panic"))
    }

    /// The engine behind a port of this process.
    pub(super) async fn engine_with_a_clock() -> Self {
        let topology = Topology::start(Kind::Serve).await;
        let hand = topology.clock().as_manual().expect("its clock can be moved").clone();
        let tasks = Tasks::new();
        drop(tasks.spawn("catching up", async move {
            let clock = Clock::system();
            let mut last = clock.monotonic();
            loop {
                clock.sleep(TICK).await;
                let now = clock.monotonic();
                hand.advance(now - last);
                last = now;
            }
        }));
        Self::Moved(Moved {
            topology,
            ahead: 0,
            _catching_up: tasks,
        })
    }

    pub(super) fn url(&self) -> String {
        match self {
            Self::Redis(server) => server.url(),
            Self::Engine(server) => server.url(),
            Self::Postgres => String::new(),
            Self::Moved(moved) => format!("redis://127.0.0.1:{}", moved.topology.port().expect("it is a server")),
        }
    }

    /// What can happen to it. A clock that goes back *and* lost fences is what the protocol does not promise anything under.
    pub(super) fn mishaps(&self) -> &'static [Mishap] {
        match self {
            Self::Redis(_) | Self::Engine(_) => &[Mishap::Flush, Mishap::Restart],
            Self::Moved(_) => &[Mishap::Step],
            Self::Postgres => &[Mishap::Terminate],
        }
    }

    pub(super) async fn suffer(&mut self, mishap: Mishap, work: &Work, random: &Random) {
        match (mishap, self) {
            (Mishap::Flush, Self::Redis(server)) => drop(server.cli(&["FLUSHALL"])),
            (Mishap::Flush, Self::Engine(server)) => {
                let flushed = Wire::tcp(server.port()).call(&["FLUSHALL"]);
                flushed.expect("it cannot fail");
            }
            (Mishap::Restart, Self::Redis(server)) => server.restart_empty().await,
            (Mishap::Restart, Self::Engine(server)) => tokio::task::block_in_place(|| server.restart()),
            (Mishap::Step, Self::Moved(moved)) => moved.step(random),
            (Mishap::Terminate, Self::Postgres) => work.terminate_locks().await,
            _ => unreachable!("only what can happen to it does"),
        }
    }
}

impl Moved {
    /// By an hour, and never further than one from where it began.
    fn step(&mut self, random: &Random) {
        let hours = match self.ahead {
            0 if random.below(2) == 0 => 1,
            0 => -1,
            ahead => -ahead,
        };
        self.ahead += hours;
        let hand = self.topology.clock().as_manual().expect("its clock can be moved");
        hand.step_wall(hours * HOUR);
    }
}
