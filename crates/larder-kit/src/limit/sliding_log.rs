//! The sliding log: every admission is remembered for a window.

use std::time::Duration;

use larder_store::Script;

use super::{
    Limit, LimitError,
    kind::{Args, Kind, window},
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

impl SlidingLog {
    /// `limit` permits per `window`, which is a whole number of milliseconds.
    #[must_use]
    pub const fn per(limit: u64, window: Duration) -> Self {
        Self { limit, window }
    }

    /// `limit` permits per second.
    #[must_use]
    pub const fn per_second(limit: u64) -> Self {
        Self::per(limit, Duration::from_secs(1))
    }

    /// `limit` permits per minute.
    #[must_use]
    pub const fn per_minute(limit: u64) -> Self {
        Self::per(limit, Duration::from_secs(60))
    }

    /// `limit` permits per hour.
    #[must_use]
    pub const fn per_hour(limit: u64) -> Self {
        Self::per(limit, Duration::from_secs(3_600))
    }

    /// `limit` permits per day of 24 hours.
    #[must_use]
    pub const fn per_day(limit: u64) -> Self {
        Self::per(limit, Duration::from_secs(86_400))
    }
}

fn wrong(args: Args) -> Option<String> {
    let items = args[0];
    let too_long = || format!("a log of {items} items is more than {LOG_MAX}; SlidingCounter and Gcra hold one number");
    window::wrong(args).or_else(|| (items > LOG_MAX).then(too_long))
}

impl TryFrom<SlidingLog> for Limit {
    type Error = LimitError;

    fn try_from(rule: SlidingLog) -> Result<Self, LimitError> {
        window::limit(&KIND, rule.limit, rule.window)
    }
}
