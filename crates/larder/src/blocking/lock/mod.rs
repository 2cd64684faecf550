//! [`larder::lock`](crate::lock), blocking.
//!
//! ```
//! use larder::blocking::{Store, lock::{Lock as _, StoreLock}};
//!
//! # fn main() -> Result<(), larder::BoxError> {
//! let store = Store::open("embedded:")?; // or redis://localhost
//! let invoices = StoreLock::builder("invoices").store(&store).build()?;
//!
//! let guard = invoices.acquire(&42)?;
//! let sent = guard.run(|held| {
//!     for _page in 0..3 {
//!         held.check()?; // before each step that it protects
//!     }
//!     Ok::<_, larder::lock::LockError>(3)
//! })??;
//! assert_eq!(sent, 3);
//! assert!(guard.release()?.was_held());
//! # Ok(())
//! # }
//! ```
//!
//! The watchdogs run on the runtime's threads, so that a lock is renewed however long its holder's thread blocks.
//!
//! What the async face can do and no thread can: to stop work from outside. A closure goes on to its end, though the lock is
//! lost meanwhile; it has to [`check`](Guard::check), or to carry the [`fence`](Guard::fence), and [`Guard::run`] says at its end
//! whether the lock lasted.

mod any;
mod builder;
mod contract;
mod election;
#[cfg(feature = "sql")]
mod fencing;
mod guard;
mod lost;
mod tools;

pub use any::AnyLock;
pub use builder::LockBuilder;
pub use contract::Lock;
pub use election::{Election, Leaders, Leadership};
pub use guard::Guard;
pub(super) use lost::Ended;
pub use lost::Lost;
pub use tools::{ReadWriteLock, Reading, Semaphore, StoreLock, Writing};
