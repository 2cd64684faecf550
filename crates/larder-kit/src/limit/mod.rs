//! Rate limits: how often somebody may do something, counted for all processes together.
//!
//! ```
//! use std::time::Duration;
//!
//! use larder_kit::limit::{FixedWindow, Gcra, Limiter, OnStoreDown};
//! use larder_store::Store;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Store::open("embedded:").await?; // or redis://127.0.0.1:6379
//! let api = Limiter::builder("api")
//!     .store(&store)
//!     .limit(Gcra::per_second(100).burst(20))
//!     .limit(FixedWindow::per_day(1_000_000))
//!     .on_store_down(OnStoreDown::Open)
//!     .build()?;
//!
//! let decision = api.check(&42u64).await?;
//! assert!(decision.allowed);
//! assert_eq!(decision.remaining, 19);
//! # Ok(())
//! # }
//! ```
//!
//! | kind | promises | state |
//! |---|---|---|
//! | [`Gcra`] | in every interval of length w at most burst + ⌊w / interval⌋; smooth, the one to begin with | a number |
//! | [`FixedWindow`] | at most L in each aligned window, hence up to 2 L around its edge | 16 bytes |
//! | [`SlidingCounter`] | the window before, weighted by what is left of it, and this one: at most L; an estimate | 24 bytes |
//! | [`SlidingLog`] | at most L in *every* interval of the window's length; exact | an item per permit |
//! | [`ConcurrencyLimit`] | at most N at once | an item per permit |
//!
//! The server's clock decides, in whole microseconds; a denied call changes nothing; every key gets its TTL in the write
//! that makes it. A step of the server's clock forwards admits early, by that step; one backwards only makes callers wait.

mod builder;
mod concurrency;
mod config;
mod decision;
mod error;
mod fixed_window;
mod gcra;
mod headers;
mod held;
mod kind;
mod limiter;
mod limits;
mod local;
mod permit;
mod plan;
mod reconfigure;
mod sliding_counter;
mod sliding_log;
mod together;
pub(crate) mod unavailable;
mod windowed;

pub use builder::LimiterBuilder;
pub use concurrency::{ConcurrencyBuilder, ConcurrencyLimit, Entry};
pub use decision::{Basis, Decision};
pub use error::LimitError;
pub use fixed_window::FixedWindow;
pub use gcra::Gcra;
pub use headers::RateHeaders;
pub use kind::Limit;
pub use limiter::Limiter;
pub use limits::{LIMITS_MAX, Limits};
pub use permit::Permit;
pub use sliding_counter::SlidingCounter;
pub use sliding_log::SlidingLog;
pub use unavailable::OnStoreDown;

use kind::Kind;

/// The kinds of limits that a [`Limiter`] checks: a file each, and a line here.
static KINDS: &[&Kind] = &[
    &gcra::KIND,
    &fixed_window::KIND,
    &sliding_counter::KIND,
    &sliding_log::KIND,
];
