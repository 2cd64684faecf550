//! The caching layer for services that use Redis or Valkey.
//!
//! This crate is the face of Larder: it re-exports what applications use and adds nothing of its own.

pub use larder_base::{CacheKey, Clock, KeyLabel, KeyPart, ManualClock, Random, show_keys};
