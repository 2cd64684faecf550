//! Reads and writes against a cache, at random and under faults, with every event recorded for the checker.
//!
//! A [`Subject`] is one process's view of the cache under test. [`run`] drives several of them over one versioned
//! [`Rows`], the source: readers ask for keys, and load what is missing with a delay before and after the look at the
//! row; writers commit a new version and invalidate, or write as the subject does it. What comes out is a [`history`](crate::history) and its report.

mod by_hand;
mod plan;
mod rows;
mod run;
mod subject;
mod values;
mod watch;

pub use by_hand::ByHand;
pub use plan::{Fault, Plan};
pub use rows::Rows;
pub use run::{Outcome, run};
pub use subject::{Invalidated, Seen, Subject, Written};
pub use watch::Losses;
