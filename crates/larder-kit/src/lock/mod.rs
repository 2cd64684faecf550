//! Locks that say when they are lost, and a number that protects what they cannot.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use larder_kit::lock::{Lock, StoreLock};
//!
//! let store = larder_store::Store::open("embedded:").await?; // or redis://localhost
//! let invoices = StoreLock::builder("invoices").store(&store).build()?;
//!
//! let guard = invoices.acquire(&42).await?;
//! guard.run(async { /* what one may do at a time */ }).await?;
//! guard.release().await?;
//! # Ok(())
//! # }
//! ```
//!
//! A lock is a *lease*: it runs out unless its [`Guard`] renews it, so that a holder that dies does not keep it for ever.
//! Hence a holder may lose it, and has to be told in time:
//!
//! | trouble | what happens |
//! |---|---|
//! | the holder dies | another is granted the lock after at most `ttl` |
//! | the store is out of reach | the holder stops ([`Guard::run`]) before the lease is over; nobody else was granted it by then |
//! | the store lost its data, or somebody deleted the key | the holder hears of it at the next renewal, a third of `ttl` later |
//! | the holder stands still for longer than `ttl` | it cannot know. Another is granted the lock; the [`Fence`] tells the two apart where they write |
//!
//! | tool | grants |
//! |---|---|
//! | [`StoreLock`] | one holder per key |
//! | [`ReadWriteLock`] | many readers, or one writer |
//! | [`Semaphore`] | so many holders |
//! | [`Election`] | one leader, whose name others can read |
//!
//! All of them are leases, kept by the same [`Guard`]. [`Lock`] is what they and others' locks have in common.
//!
//! Not promised: order among those who wait; a lock that is safe without a fence, whatever happens to the store.

mod alarm;
mod as_lock;
mod builder;
mod contract;
mod election;
mod error;
mod fence;
mod figures;
mod grace;
mod guard;
mod keeper;
mod kind;
mod lease;
mod leases;
mod member;
mod pause;
mod read_write;
mod semaphore;
mod store_lock;
mod tenure;
mod token;
mod watchdog;

pub use builder::LockBuilder;
pub use contract::{Lease, Lock, LockFuture, Released};
pub use election::{Election, Leader, Leaders, Leadership};
pub use error::{LockError, Loss};
pub use fence::Fence;
pub use guard::Guard;
pub use keeper::{Grant, Keeper};
pub use read_write::{ReadWriteLock, Reading, Writing};
pub use semaphore::Semaphore;
pub use store_lock::StoreLock;
pub use token::{BadToken, OwnerToken};

pub(crate) use builder::wrong_ttl;
pub(crate) use kind::{Hold, Step};
pub(crate) use lease::{Claim, StoreLease};
pub(crate) use member::member;
pub(crate) use token::Token;
