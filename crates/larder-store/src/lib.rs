//! One handle over the embedded engine, Redis and Valkey.
//!
//! A [`Store`] implements the `redis` crate's [`ConnectionLike`](redis::aio::ConnectionLike), so every typed command,
//! pipeline and script of that crate works on it, whatever is behind it:
//!
//! ```
//! use larder_store::{Store, redis::AsyncCommands};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut store = Store::open("embedded:").await?; // or redis://localhost
//! let _: () = store.set("greeting", "hello").await?;
//! let greeting: String = store.get("greeting").await?;
//! assert_eq!(greeting, "hello");
//! # Ok(())
//! # }
//! ```
//!
//! What it adds: one shared connection that comes back by itself, deadlines, retries that never run twice what must run
//! once, client tracking whose pushes are applied in the order in which they arrive, scripts that survive `NOSCRIPT`.
//!
//! It moves commands, replies and pushes; it knows no key layout and no TTL policy.

mod command;
mod config;
mod connections;
mod dedicated;
mod dial;
#[cfg(feature = "embedded")]
mod embedded;
mod error;
mod figures;
mod health;
mod info;
mod listen;
mod metric;
mod queue;
mod refuse;
mod remote;
mod replicas;
mod script;
mod scripts;
mod shared;
mod store;
mod subscribe;
mod topology;
#[cfg(feature = "embedded")]
mod transit;
#[cfg(feature = "embedded")]
mod value;

pub use config::{BreakerPolicy, Resp, RetryPolicy, StoreConfig};
pub use connections::Connections;
pub use dedicated::Dedicated;
pub use dial::{ByteStream, Dial, Dialing};
pub use error::StoreError;
pub use figures::StoreStats;
pub use health::Health;
pub use info::Generation;
pub use listen::{HEARTBEAT, Heartbeat, Invalidations, Listening};
pub use metric::METRICS;
/// The client library whose commands a [`Store`] runs.
pub use redis;
pub use remote::BreakerState;
pub use script::{Script, ScriptCall, ScriptHandle};
pub use scripts::{Scripts, ScriptsError};
pub use store::Store;
pub use subscribe::{Event, Message, Subscription};
pub use topology::Node;
#[cfg(feature = "embedded")]
pub use transit::{Fate, Passage, Stuck, Transit};
