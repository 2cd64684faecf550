//! The peers, each as a user would take it for a typed value with a TTL.

mod moka;
mod papaya;
mod quick_cache;

pub(crate) use moka::MokaFuture;
pub(crate) use papaya::PapayaMap;
pub(crate) use quick_cache::QuickCache;
