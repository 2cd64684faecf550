//! The blocking face: the same store, cache and tools for programs without `async`.
//!
//! ```
//! use std::time::Duration;
//!
//! use larder::{BoxError, blocking::{Cache, Store}};
//!
//! # fn main() -> Result<(), BoxError> {
//! let store = Store::open("embedded:")?; // or redis://127.0.0.1:6379
//! let squares: Cache<u64, u64> = Cache::builder("square")
//!     .store(&store)
//!     .near(10_000)
//!     .ttl(Duration::from_secs(300))
//!     .build()?;
//! let square = squares.get_or_load(&12, || Ok::<_, BoxError>(12 * 12))?;
//! assert_eq!(*square, 144);
//! squares.invalidate(&12)?;
//! # Ok(())
//! # }
//! ```
//!
//! There is one implementation, the async one: each method here waits for the method of the same name there, whose page says
//! everything else about it. What moves bytes and keeps copies true meanwhile is a [`Runtime`] of two threads, which all stores
//! of a process share and which ends with the last of them.
//!
//! The tools stand as in the async face: [`lock`], [`limit`], [`session`], [`transaction`] and [`Scripts`].
//!
//! # Loaders
//! A loader is a closure, and runs on the thread of its caller: it may borrow, and may itself use anything that
//! blocks, this face included. Meanwhile the runtime keeps the lease of the load. A loader that the cache may keep
//! ([`Cache::get_or_load_owned`]) runs on a thread of the runtime's that may block.
//!
//! # Panics
//! Every method that may wait panics where a thread drives async tasks: the thread, and all that it drives, would stand still.
//! Use the async face there, or call from `tokio::task::spawn_blocking`.

mod ask;
mod builder;
mod cache;
mod dedicated;
mod events;
mod face;
mod hold;
mod on;
mod packed;
mod runtime;
mod scripts;
mod steps;
mod store;
mod subscription;

pub mod limit;
pub mod lock;
pub mod session;
pub mod transaction;

pub use builder::CacheBuilder;
pub use cache::Cache;
pub use dedicated::Dedicated;
pub use events::Events;
pub use hold::Hold;
pub use runtime::Runtime;
pub use scripts::Scripts;
pub use steps::{Matching, Warming};
pub use store::Store;
pub use subscription::Subscription;

/// Methods that wait for the async method of the same name.
macro_rules! waits {
    ($of:literal; $($(#[$doc:meta])* fn $name:ident(&self $(, $arg:ident: $ty:ty)* $(,)?) -> $ret:ty;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        #[doc = concat!("As [the async method](crate::", $of, "::", stringify!($name), "), which says more.")]
        #[track_caller]
        pub fn $name(&self $(, $arg: $ty)*) -> $ret {
            self.on.wait(self.on.$name($($arg),*))
        }
    )*};
}
pub(crate) use waits;
