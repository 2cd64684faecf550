//! The kit's tests, in one binary: each module is one tool.

mod immortal;
mod limit;
mod lock;
mod session;
mod transaction;
