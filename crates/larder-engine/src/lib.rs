//! The embedded Redis-compatible engine: Redis data types and commands in memory, in process.
//!
//! An [`Engine`] is a cheap handle; [`Engine::connect`] opens a [`Session`], which is to the engine what a
//! connection is to a server: it has a selected database, a protocol version, subscriptions, a transaction.
//! [`Session::execute`] runs one command to completion behind one short lock, so scripts and transactions are
//! atomic, and answers as Redis 7 does, byte for byte.
//!
//! ```
//! use larder_engine::{Engine, Reply};
//!
//! let engine = Engine::new();
//! let session = engine.connect();
//! assert_eq!(session.execute(&[b"SET", b"greeting", b"hello"]), Reply::Ok);
//! assert_eq!(session.execute(&[b"GET", b"greeting"]), Reply::bulk(b"hello"));
//! ```
//!
//! The engine knows nothing of caches. It reads no clock and no random source by itself: both are handed in
//! ([`EngineBuilder::clock`], [`EngineBuilder::random`]), so a test moves time and replays a seed.

mod client;
mod command;
mod core;
mod ctx;
mod db;
mod dispatch;
mod engine;
mod error;
mod evict;
mod expire;
mod glob;
pub mod log;
mod metric;
mod notify;
mod number;
mod pubsub;
mod reply;
mod script;
pub mod serve;
mod settings;
mod slow_log;
mod stats;
#[cfg(test)]
mod testing;
mod tracking;
mod transaction;
mod value;
mod wait;

pub use client::{ClientId, PushSink, Resp};
pub use command::{Arity, CommandInfo, Flags, Group, commands};
pub use engine::{Engine, EngineBuilder, Session};
pub use error::ErrorReply;
pub use evict::{EvictionPolicy, UnknownPolicy};
pub use log::{Fsync, LogConfig, LogError, Receipt};
pub use metric::METRICS;
pub use reply::Reply;
