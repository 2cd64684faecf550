//! The sliding counter: the window before counts as far as it still reaches into the last one.

use std::time::Duration;

use larder_store::Script;

use super::{
    kind::{Kind, window},
    windowed::windowed,
};

pub(super) static KIND: Kind = Kind {
    name: "counter",
    script: Script::new("limit_counter", include_str!("sliding_counter.lua")),
    wrong: window::wrong,
    capacity: window::capacity,
    span: window::span,
};

/// An estimate of the last window, from two counters: the count of the aligned window before, weighted by the share of it that
/// is not over yet, plus that of the current one, is at most `limit`.
///
/// It is exact if calls came evenly in the window before; the true count in an interval of the window's length is at most
/// twice the limit. Small and smooth; [`SlidingLog`](super::SlidingLog) is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingCounter {
    limit: u64,
    window: Duration,
}

windowed!(SlidingCounter);
