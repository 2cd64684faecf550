//! Transactions: what they promise on every topology, beside what goes wrong by hand; and pipelines.

mod pipelines;
mod runs;
mod trap;
