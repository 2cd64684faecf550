//! The caching layer for services that use Redis or Valkey.
//!
//! This crate is the face of Larder: it re-exports what applications use and adds nothing of its own.

pub use larder_base::{CacheKey, Clock, KeyLabel, KeyPart, ManualClock, Random, WrittenKey, show_keys};
pub use larder_cache::{BoxError, Source};
#[cfg(feature = "sql")]
pub use larder_sql::{PoolConfig, SqlError, SqlTable};
