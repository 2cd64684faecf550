//! Real servers, faults, naive baselines and waiting without sleeping, for testing Larder and code that uses it.
//!
//! - [`for_each_topology`]: one test on the embedded engine, on the engine served over TCP, and on redis-server.
//! - [`RedisServer`], [`LarderServer`]: private servers that can be killed, paused and restarted.
//! - [`PgServer`]: a private PostgreSQL that can be killed, paused and restarted.
//! - [`history`]: what every process saw, and the rules that a correct cache keeps in it.
//! - [`verify`]: random reads and writes of any cache, under faults, checked.
//! - [`eventually`]: wait for a condition with a deadline; [`UNIT`]: the unit in which tests state times.
//! - [`Wire`]: a bare client that shows exactly what a server said.
//! - [`Proxy`]: a network that delays, holds back and cuts.
//! - [`sim`]: a server, a network and a clock in memory alone, for thousands of seeded worlds.
//! - [`SimDisk`]: a disk that keeps only what was synced, for the engine's log.
//! - [`OwnedChild`]: any program, killed with its owner.
//! - [`worker`]: more processes of the same test, killed and paused like the rest.
//! - [`naive`]: the cache code that people write by hand, to compare with.
//! - [`Case`]: seeded random cases that print their seed when they fail.
//!
//! This crate does not know the cache: what tests it brings its own subject.

mod answer;
mod child;
mod folder;
pub mod history;
mod larder_server;
pub mod naive;
mod pg_server;
mod port;
mod proxy;
mod redis_server;
mod seed;
pub mod sim;
mod sim_disk;
mod topology;
pub mod verify;
mod wait;
mod wire;
pub mod worker;

pub use answer::Answer;
pub use child::OwnedChild;
pub use folder::OwnFolder;
pub use larder_server::{LarderServer, PROGRAM_VARIABLE};
pub use pg_server::{PG_BIN_VARIABLE, PgServer};
pub use proxy::Proxy;
pub use redis_server::{RedisServer, SERVER_VARIABLE};
pub use seed::{Case, SEED_VARIABLE};
pub use sim_disk::{SimDisk, Trouble};
pub use topology::{Kind, Outcome, TOPOLOGY_VARIABLE, Topology, for_each_topology};
pub use wait::{UNIT, eventually};
pub use wire::Wire;
