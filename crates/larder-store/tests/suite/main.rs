//! The store, in one binary: each module is one subject.

mod common;
mod dedicated;
mod everywhere;
mod faults;
mod figures;
mod log;
mod scripts;
