//! What is built on Redis beside a cache, done once and tested: each tool is a folder, and stands on a
//! [`Store`](larder_store::Store) alone, so that it works on the embedded engine, on Redis and on Valkey alike.
//!
//! What decides anything is a Lua script beside the Rust that calls it: one round trip, the server's clock, and a TTL in
//! the very write that makes a key.
//!
//! It knows no cache, no SQL and no HTTP.

#[cfg(not(feature = "mutants"))]
mod altered;
#[cfg(feature = "mutants")]
#[doc(hidden)]
pub mod altered;
mod figures;
pub mod leaderboard;
pub mod limit;
pub mod lock;
mod metric;
#[cfg(not(feature = "mutants"))]
#[expect(unreachable_pub, reason = "it is public with the feature")]
mod mutant;
#[cfg(feature = "mutants")]
pub mod mutant;
mod names;
pub mod queue;
mod reply;
mod retention;
pub mod session;
pub mod timeline;
pub mod transaction;
mod window;

pub use metric::METRICS;
pub use names::{BadNamespace, ToolKey};
pub use retention::Retention;
pub use window::Window;
