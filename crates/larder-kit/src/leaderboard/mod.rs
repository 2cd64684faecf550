//! Leaderboards: who is ahead, by how much, and who is next to me.
//!
//! ```
//! use larder_kit::{Retention, Window, leaderboard::Leaderboard};
//! use larder_store::Store;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use std::time::Duration;
//! let store = Store::open("embedded:").await?; // or redis://127.0.0.1:6379
//! let weekly: Leaderboard<u64> = Leaderboard::builder("weekly")
//!     .store(&store)
//!     .window(Window::Week)
//!     .retention(Retention::For(Duration::from_secs(30 * 86_400))) // after the end of each week
//!     .build()?;
//!
//! weekly.increment(&7, 40.0).await?;
//! weekly.increment(&9, 40.0).await?;
//! let now = weekly.increment(&8, 15.0).await?;
//! assert_eq!((now.score, now.rank), (15.0, 3));
//! // Of equal scores the first reached is ahead.
//! let top: Vec<u64> = weekly.top(2).await?.into_iter().map(|standing| standing.member).collect();
//! assert_eq!(top, [7, 9]);
//! # Ok(())
//! # }
//! ```
//!
//! **Ranks** are counted from 1: the best is first. **Scores** are `f64`, and every finite one is kept exactly; adding is
//! that of `f64`, so whole numbers add up exactly to 2^53. **Ties**: each change of a score takes the next number of
//! the board's own count, and of equal scores the lower number is ahead. The number stands in the name of the
//! entry, not in the score, which so loses no digit; a board counts to 2^53 changes. A write that leaves a score as it was
//! keeps its number.
//!
//! A board is two keys: the order, and the number of each member. A store that evicts one of them without the other leaves
//! a damaged board, which is told ([`LeaderboardError::Damaged`]).

mod board;
mod builder;
mod entry;
mod error;
mod union;

pub use board::Leaderboard;
pub use builder::{LeaderboardBuilder, Order};
pub use entry::{Scored, Standing};
pub use error::LeaderboardError;
pub use union::Merge;

use crate::{figures::Series, metric};

/// The most members that one call asks for, writes or removes: a server does them in a few milliseconds, and others wait.
pub const BATCH_MAX: u64 = 1_000;

/// The longest member, in bytes, when it is written: what stands on a board is an id.
pub const MEMBER_MAX: usize = 512;

/// The most boards that are merged in one call: two months of days.
pub const UNION_BOARDS_MAX: usize = 64;

/// The most entries of all merged boards together: the server gives them in one piece, in some 100 ms, and everybody else waits for
/// that long.
pub const UNION_MEMBERS_MAX: u64 = 100_000;

const CHANGED: usize = 0;
const KEPT: usize = 1;
const FAILED: usize = 2;
const READS: usize = 3;

static SERIES: &[Series] = &[
    (metric::BOARD_WRITES, Some("changed")),
    (metric::BOARD_WRITES, Some("kept")),
    (metric::BOARD_WRITES, Some("failed")),
    (metric::BOARD_READS, None),
];
