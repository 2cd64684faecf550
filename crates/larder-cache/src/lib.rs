//! A typed two-tier cache whose correctness is stated and tested.
//!
//! [`Cache`] keeps values in a store that all processes share (Redis, Valkey, or the embedded engine) and, if asked to, in
//! this process's memory. Loads are granted by leases in the store, so that a value is loaded once however many ask,
//! and a value that was loaded before an invalidation is never stored after it.
//!
//! | module | what it decides |
//! |---|---|
//! | `flight` | which callers may share one read and one load |
//! | `acquire`, `load`, `fill` | a read's dealings with the store; the load; what becomes of its value |
//! | `coherence`, `marker` | what the near tier may serve and install |
//! | `log/` | what takes the place of pushes in coherence mode Log |
//! | `invalidate`, `put`, `hold` | changes, and when they count as done |
//! | `commit/` | writes to the source: through and around the cache |
//! | `behind/` | writes to the source, later: what waits, and who flushes it |
//! | `deliver`, `pending`, `ring`, `recovery` | what becomes of changes that the store did not acknowledge, or lost |
//! | `kept/` | what of them a crash of this process leaves |
//! | `script/` | every step that decides anything: one Lua file each beside its caller |
//! | `record`, `layout` | what stands in the store, and under which keys |
//! | `mutant` | rules that a test can leave out, behind the feature `mutants` |

mod acquire;
mod batch;
mod behind;
mod builder;
mod cache;
mod channel;
mod coherence;
mod commit;
mod context;
mod core;
mod counter;
mod deliver;
mod encode;
mod error;
mod estimate;
mod events;
mod figures;
mod fill;
mod flight;
mod found;
mod hold;
mod housekeeping;
mod invalidate;
mod kept;
mod layout;
mod lease;
mod load;
mod loader;
mod loading;
mod log;
mod marker;
mod matching;
mod metric;
#[cfg(not(feature = "mutants"))]
#[expect(unreachable_pub, reason = "it is public with the feature")]
mod mutant;
#[cfg(feature = "mutants")]
pub mod mutant;
mod open;
mod owed;
mod own_write;
mod owned;
mod pace;
mod partition;
mod pending;
mod plain;
mod put;
mod read;
mod receipt;
mod record;
mod recovery;
mod registry;
mod ring;
mod script;
mod settings;
mod settle;
mod sink;
mod source;
mod stats;
mod stripe;
mod warm;
mod write;

pub use batch::Batch;
pub use behind::{Ack, CountAs, DeadLetter, Drained, Lag, LetterId, WriteBehind};
pub use builder::{CacheBuilder, is_namespace};
pub use cache::Cache;
pub use channel::OnGap;
pub use commit::Written;
pub use context::{LoadContext, Loaded};
pub use error::{Error, ErrorKind};
pub use events::{CacheEvent, Events, FillRejection, Invalidated, LoadFailure};
pub use found::{Freshness, Lookup, Tier};
pub use hold::{Committed, Hold};
pub use kept::PendingLog;
pub use log::LOG_KEPT;
pub use matching::Matching;
pub use metric::METRICS;
pub use plain::{Plain, PlainStore};
pub use put::PutOptions;
pub use receipt::{Delivery, Receipt, Ticket};
pub use settings::{Coherence, Consistency, NewGeneration, OnStoreDown, TAG_BYTES, Ttl, WriteGate, WritePolicy};
pub use sink::{Change, Counted, Patch, SharedSink, Sink, SinkError, SinkErrorKind, Version};
pub use source::{BoxError, Source};
pub use stats::Stats;
pub use warm::{Progress, Warming};
