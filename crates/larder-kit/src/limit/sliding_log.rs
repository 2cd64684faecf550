//! The sliding log: every admission is remembered for a window.

use std::time::Duration;

use larder_store::Script;

use super::{
    kind::{Args, Kind, window},
    windowed::windowed,
};

/// The most permits of one log: each is an item in the store, and a call that takes this many keeps the server for about
/// a quarter of a second (measured).
const LOG_MAX: u64 = 100_000;

pub(super) static KIND: Kind = Kind {
    name: "log",
    script: Script::new("limit_log", include_str!("sliding_log.lua")),
    wrong,
    capacity: window::capacity,
    span: window::span,
};

/// At most `limit` permits in *every* interval of the window's length.
///
/// Exact, at the price of one item in the store for each permit of the last window (about 120 bytes), so the limit is at most
/// 100,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingLog {
    limit: u64,
    window: Duration,
}

windowed!(SlidingLog);

fn wrong(args: Args) -> Option<String> {
    let items = args[0];
    let too_long = || format!("a log of {items} items is more than {LOG_MAX}; SlidingCounter and Gcra hold one number");
    window::wrong(args).or_else(|| (items > LOG_MAX).then(too_long))
}
