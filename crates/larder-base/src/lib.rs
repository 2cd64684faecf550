//! What every crate of Larder shares: a clock, randomness, owned tasks, keys and their labels, the codec.
//!
//! Nothing here does I/O, and nothing above this crate reads a clock, a random source or spawns a task by
//! any other way, so a test that hands in [`Clock::manual`] and [`Random::seeded`] moves time and replays a run.

mod clock;
pub mod codec;
pub mod failpoint;
mod key;
mod label;
pub mod metric;
mod random;
mod tasks;

pub use clock::{Clock, ManualClock, Sleep};
pub use key::{CacheKey, KeyPart, WRITTEN_MAX, WrittenKey};
pub use label::{KeyLabel, show_keys};
pub use random::Random;
pub use tasks::Tasks;
