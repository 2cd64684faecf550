//! A server, a network and a clock that exist in memory alone: the whole client of every process runs on them as on real
//! ones, thousands of worlds a minute, and a seed says what befalls each.
//!
//! Nothing is replaced but the sockets and the clock: connecting, greeting, tracking, heartbeats, deadlines and
//! reconnection are those of production, and the server is the engine with its wire protocol. What is sent on a
//! connection arrives in order, whenever the [`Link`] lets it; connections break in each of the ways in which they do, and the
//! server can be killed, emptied or replaced by a replica that lags behind.
//!
//! ```
//! use std::time::Duration;
//! use larder_base::{Clock, Random};
//! use larder_testkit::sim::{Break, Sea};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sea = Sea::new(&Random::seeded(7));
//! let (here, there) = (sea.process().await?, sea.process().await?);
//! sea.drive(async {
//!     here.store.run(redis::cmd("SET").arg("k").arg(1)).await?;
//!     here.link.cut(Break::Reset);
//!     there.store.run(redis::cmd("GET").arg("k")).await?;
//!     // Virtual time: it passes while everybody waits for it.
//!     sea.clock().sleep(Duration::from_secs(3600)).await;
//!     here.store.ping().await
//! })
//! .await?;
//! # Ok(())
//! # }
//! ```
//!
//! Use a current-thread runtime. The order in which its tasks run follows from the seed, but for the few places where Tokio
//! draws lots itself.

mod link;
mod sea;

pub use link::{Break, Link};
pub use sea::{Process, Sea, Snapshot};
