//! Transactions: what they promise on every topology, beside what goes wrong by hand; and pipelines.

mod beyond;
mod lost;
mod mutants;
mod pipelines;
mod runs;
mod trap;
