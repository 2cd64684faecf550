//! Outages of the store: what becomes of invalidations meanwhile, what is read, and how it all comes back.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod cut;
mod events;
mod generations;
mod kept;
pub(crate) mod order;
mod patterns;
mod pending;
mod reads;
mod replicas;
