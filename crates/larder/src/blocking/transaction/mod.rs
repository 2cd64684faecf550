//! [`larder::transaction`](crate::transaction), blocking.
//!
//! ```
//! use larder::{
//!     blocking::{Store, transaction::Transactions},
//!     redis::{self, Commands as _},
//!     transaction::TransactionError,
//! };
//!
//! # fn main() -> Result<(), larder::BoxError> {
//! let mut store = Store::open("embedded:")?;
//! let () = store.set("account:1", 100)?;
//! let transfers = Transactions::builder("transfers").store(&store).build()?;
//! let moved = transfers.run(["account:1", "account:2"], |mut watched| {
//!     let balance: i64 = watched.get("account:1")?;
//!     if balance < 30 {
//!         return Ok(watched.leave(false));
//!     }
//!     let mut pipe = redis::pipe();
//!     pipe.decr("account:1", 30).ignore().incr("account:2", 30).ignore();
//!     let done = watched.commit::<()>(pipe)?;
//!     Ok::<_, TransactionError>(done.map(|()| true))
//! })?;
//! assert!(moved);
//! # Ok(())
//! # }
//! ```

mod pipelined;
mod run;
mod watched;

pub use pipelined::Pipelined;
pub use run::{Transactions, TransactionsBuilder};
pub use watched::Watched;
