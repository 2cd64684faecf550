//! The engine from outside, in one binary: each module is one subject.
//!
//! Apart stand `differential`, which compares random sequences with redis-server, and `memory`, which brings an
//! allocator of its own.

mod common;
mod engines;
mod log;
mod scripts;
mod served_abuse;
mod served_bytes;
mod served_clients;
mod served_order;
mod served_unix;
mod served_waiting;
mod waiting;
