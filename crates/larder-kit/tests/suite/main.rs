//! The kit's tests, in one binary: each module is one tool.

mod full;
mod immortal;
mod leaderboard;
mod limit;
mod lock;
mod mutants;
mod queue;
mod session;
mod slots;
mod timeline;
mod transaction;
