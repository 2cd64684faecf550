//! A typed two-tier cache whose correctness is stated and tested.

mod source;

pub use source::{BoxError, Source};
