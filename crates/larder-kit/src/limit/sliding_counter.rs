//! The sliding counter: the window before counts as far as it still reaches into the last one.

use std::time::Duration;

use larder_store::Script;

use super::{
    Limit, LimitError,
    kind::{Kind, window},
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

impl SlidingCounter {
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

impl TryFrom<SlidingCounter> for Limit {
    type Error = LimitError;

    fn try_from(rule: SlidingCounter) -> Result<Self, LimitError> {
        window::limit(&KIND, rule.limit, rule.window)
    }
}
