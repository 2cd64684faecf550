//! [`larder::limit`](crate::limit), blocking.
//!
//! ```
//! use larder::{blocking::{Store, limit::Limiter}, limit::{Gcra, OnStoreDown}};
//!
//! # fn main() -> Result<(), larder::BoxError> {
//! let store = Store::open("embedded:")?;
//! let api = Limiter::builder("api")
//!     .store(&store)
//!     .limit(Gcra::per_second(1).burst(2))
//!     .on_store_down(OnStoreDown::Open)
//!     .build()?;
//! assert!(api.check("ada")?.allowed);
//! assert_eq!(api.check("ada")?.remaining, 0);
//! let denied = api.check("ada")?;
//! assert!(!denied.allowed && denied.retry_after.is_some());
//! # Ok(())
//! # }
//! ```

mod concurrency;
mod limiter;

pub use concurrency::{ConcurrencyBuilder, ConcurrencyLimit, Entry, Permit};
pub use limiter::{Limiter, LimiterBuilder};
