//! Timelines: what is new for somebody, newest first, capped; and lists of what somebody had last.
//!
//! ```
//! use std::time::Duration;
//!
//! use larder_kit::{Retention, timeline::Timeline};
//! use larder_store::Store;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Store::open("embedded:").await?; // or redis://127.0.0.1:6379
//! let home: Timeline<u64, u64> = Timeline::builder("home")
//!     .store(&store)
//!     .capacity(800)
//!     .retention(Retention::For(Duration::from_secs(30 * 86_400)))
//!     .build()?;
//!
//! // A post goes to everybody who follows its author, in chunks.
//! let post = (9001, 1_795_201_588_000); // its id, and when it was written
//! let report = home.fan_out(&post.0, post.1, vec![7, 8, 9])?.finish().await;
//! assert_eq!((report.changed, report.failed.len()), (3, 0));
//!
//! let page = home.page(&7, None, 20).await?;
//! assert_eq!(page.items[0].id, 9001);
//! assert!(page.next.is_none());
//! # Ok(())
//! # }
//! ```
//!
//! An item is an id and a position, which is when it was made, or anything else that rises; the thing itself belongs into
//! a cache. An id is in a timeline once, however often it is added, so that whoever is not sure adds it again. A page ends
//! at a place and not at a number of items, so nothing that comes in meanwhile moves the next one.

mod builder;
mod error;
mod fan_out;
mod item;
mod merged;
mod rebuild;
#[expect(clippy::module_inception, reason = "the tool's handle is called as the tool")]
mod timeline;

pub use builder::TimelineBuilder;
pub use error::TimelineError;
pub use fan_out::{Chunk, FanOut, FannedOut};
pub use item::{Added, Cursor, Item, Page};
pub use rebuild::{Rebuild, Rebuilt};
pub use timeline::Timeline;

use std::time::Duration;

use crate::{figures::Series, metric};

/// The most items that a timeline can be told to keep: a rebuild writes them all in one round trip.
pub const CAPACITY_MAX: usize = 10_000;

/// The longest item, in bytes, when it is written: what stands in a timeline is an id.
pub const ITEM_MAX: usize = 512;

/// The most items of a page.
pub const PAGE_MAX: usize = 1_000;

/// The most timelines that are merged while reading: who follows more has a timeline of their own.
pub const AUTHORS_MAX: usize = 1_000;

/// The most items that are read for a merged page, of all timelines together: a page of 100 of 1,000 authors.
pub const MERGED_MAX: usize = 100_000;

/// How many timelines one round trip writes to or reads: a few milliseconds of the server.
pub const CHUNK: usize = 500;

/// For how long a removed item is kept out: longer than any fan-out or rebuild that still carries it.
pub const REMOVED_FOR: Duration = Duration::from_secs(600);

/// How many removed items of each timeline are remembered, the last ones.
const REMOVED_MAX: usize = 1_000;

const CHANGED: usize = 0;
const KEPT: usize = 1;
const FAILED: usize = 2;
const READS: usize = 3;

static SERIES: &[Series] = &[
    (metric::TIMELINE_WRITES, Some("changed")),
    (metric::TIMELINE_WRITES, Some("kept")),
    (metric::TIMELINE_WRITES, Some("failed")),
    (metric::TIMELINE_READS, None),
];
