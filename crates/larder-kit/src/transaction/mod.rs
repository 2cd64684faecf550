//! Transactions: read some keys, decide, and write, if nobody changed them meanwhile. And many commands in few round trips.
//!
//! ```
//! use larder_kit::transaction::{Transactions, TransactionError};
//! use larder_store::{Store, redis::{self, AsyncCommands as _}};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut store = Store::open("embedded:").await?;
//! let _: () = store.set("account:1", 100).await?;
//! let transfers = Transactions::builder("transfers").store(&store).build()?;
//! let moved = transfers
//!     .run(["account:1", "account:2"], async |mut watched| {
//!         let balance: i64 = watched.get("account:1").await?;
//!         if balance < 30 {
//!             return Ok(watched.leave(false));
//!         }
//!         let mut pipe = redis::pipe();
//!         pipe.decr("account:1", 30).ignore().incr("account:2", 30).ignore();
//!         let done = watched.commit::<()>(pipe).await?;
//!         Ok::<_, TransactionError>(done.map(|()| true))
//!     })
//!     .await?;
//! assert!(moved);
//! # Ok(())
//! # }
//! ```
//!
//! `WATCH` belongs to a connection. On one that others share, the `EXEC` of one caller ends the watch of another, who then
//! writes over what he was to notice. So each run has a connection of its own, of the store's pool, and what is left on it
//! when a run is given up is undone before the next user gets it.
//!
//! Where the decision can be written in Lua, a [`Script`](larder_store::Script) does it in one round trip and never loses:
//! transactions are for what must be decided in Rust.

mod attempt;
mod builder;
mod error;
mod pipelined;
mod run;
mod watched;

pub use attempt::Attempt;
pub use builder::TransactionsBuilder;
pub use error::TransactionError;
pub use pipelined::Pipelined;
pub use run::Transactions;
pub use watched::Watched;
