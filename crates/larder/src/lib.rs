//! The caching layer for services that use Redis or Valkey.
//!
//! This crate is the face of Larder: it re-exports what applications use and adds nothing of its own.

pub use larder_base::{CacheKey, Clock, KeyLabel, KeyPart, ManualClock, Random, WrittenKey, codec::Codec, show_keys};
pub use larder_cache::{
    Batch, BoxError, Cache, CacheBuilder, Coherence, Committed, Delivery, Error, Freshness, Hold, LoadContext, Loaded,
    Lookup, OnStoreDown, Plain, PlainStore, Progress, PutOptions, Receipt, Source, Stats, Tier, Ttl, Warming,
};
#[cfg(feature = "sql")]
pub use larder_sql::{PoolConfig, SqlError, SqlTable};
pub use larder_store::{Store, StoreConfig, StoreError, redis};

/// What most programs need: `use larder::prelude::*`.
pub mod prelude {
    pub use crate::{BoxError, Cache, CacheKey, Coherence, OnStoreDown, PlainStore, Source, Store, Ttl};
    #[cfg(feature = "sql")]
    pub use crate::{PoolConfig, SqlTable};
}
