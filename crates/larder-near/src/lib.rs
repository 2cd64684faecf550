//! The in-process tier: values as they are, under their typed keys.
//!
//! [`Near`] keeps `Arc<V>`, so a hit neither decodes nor copies nor allocates. It knows no async, no Redis, no
//! serialisation and no clock: callers say what time it is, and whoever keeps it coherent says what goes.
//! Eviction is quick_cache's S3-FIFO variant (Yang et al., *FIFO queues are all you need for cache eviction*,
//! SOSP 2023), which resists scans and evicts in O(1) at any size.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//!
//! use larder_near::{Entry, Near, Stamp};
//!
//! let near: Near<u64, String> = Near::new(10_000);
//! let (now, deadline) = (Duration::from_secs(10), Duration::from_secs(70));
//! near.install(42, Entry::new(Some(Arc::new("Ada".to_owned())), deadline, Stamp::default()));
//!
//! assert_eq!(near.get(&42, now).expect("fresh").value().map(|name| name.as_str()), Some("Ada"));
//! assert!(near.get(&42, deadline).is_none());
//! ```

mod entry;
mod near;

pub use entry::{Entry, Stamp, nanos};
pub use near::Near;
