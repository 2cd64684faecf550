//! Cache code, and a lock, as they are written by hand: what Larder is compared with, and what a test must catch.
//!
//! The code is deliberately plain and not wrong at first sight.
//!
//! | | is | and loses |
//! |---|---|---|
//! | [`CacheAside`] | get, load, set; delete on a write | the race of a load with a write: the old value then stays for its whole TTL |
//! | [`LockAroundLoad`] | the same with one loader at a time | the same race |
//! | [`SingleFlight`] | the same with one read at a time in a process | and callers who come after a write share what was read before it |
//! | [`TwoTier`] | a map in the process in front, which the server's pushes keep true | every push that is late, early or lost |
//! | [`LogTail`] | the same, kept true by a log in the store that is read on from the last item | what the log lost before it was read |
//! | [`Timed`] | a map in the process in front, whose copies live for a moment | that moment, when the process stands still |
//! | [`SetNxLock`] | a lock: `SET NX PX`, and `DEL` when done | one holder at a time, when one of them stands still or the server forgets |
//! | [`PoppedJobs`] | a queue: a list that jobs are pushed to and popped from | what was popped, with its worker |

mod aside;
mod created_at;
mod generation;
mod lock;
mod log_tail;
mod popped;
mod set_nx;
mod single_flight;
mod timed;
mod two_tier;

use std::time::Duration;

use futures_util::future::BoxFuture;
use redis::RedisResult;

pub use aside::CacheAside;
pub use created_at::CreatedAtTags;
pub use generation::CountedGeneration;
pub use lock::LockAroundLoad;
pub use log_tail::LogTail;
pub use popped::PoppedJobs;
pub use set_nx::SetNxLock;
pub use single_flight::SingleFlight;
pub use timed::Timed;
pub use two_tier::TwoTier;

/// How long a value stays; long against any test.
const TTL: Duration = Duration::from_secs(60);

/// How a missing value is found.
pub type Load<'a> = Box<dyn FnOnce() -> BoxFuture<'a, u64> + Send + 'a>;

/// What all caches among them are to their callers: a read through the cache under a name, and a word after a write.
pub trait HandWritten: Send + Sync {
    /// The cached value under `name`, or what `load` gives.
    fn read<'a>(&'a self, name: &'a str, load: Load<'a>) -> BoxFuture<'a, RedisResult<u64>>;

    /// After a write: the next read loads.
    fn forget<'a>(&'a self, name: &'a str) -> BoxFuture<'a, RedisResult<()>>;

    /// Whether there is a map in the process: answers may come from there.
    fn has_near(&self) -> bool {
        false
    }

    /// What that map holds.
    fn near(&self, _name: &str) -> Option<u64> {
        None
    }
}
