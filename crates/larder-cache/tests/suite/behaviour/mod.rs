//! What a cache does, as its users see it: the same claims on every store.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod batches;
mod building;
mod channel;
mod events;
mod expiry;
mod extremes;
mod holds;
mod invalidations;
mod log;
mod near;
mod other_languages;
mod pacing;
pub(crate) mod patterns;
mod plain;
mod reads;
mod sharing;
mod stale;
mod strict;
pub(crate) mod subject;
pub(crate) mod trouble;
mod writes;
mod writing;
