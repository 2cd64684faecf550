//! The fixed window: so many permits per aligned window of the server's clock.

use std::time::Duration;

use larder_store::Script;

use super::{
    Limit, LimitError,
    kind::{Kind, window},
};

pub(super) static KIND: Kind = Kind {
    name: "fixed",
    script: Script::new("limit_fixed", include_str!("fixed_window.lua")),
    wrong: window::wrong,
    capacity: window::capacity,
    span: window::span,
};

/// At most `limit` permits in each aligned window: windows of a day begin at midnight UTC, all subjects together.
///
/// Around the edge of two windows up to twice the limit may pass within the length of one. It is the limit that people mean by
/// "a thousand a day"; against bursts [`Gcra`](super::Gcra) is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedWindow {
    limit: u64,
    window: Duration,
}

impl FixedWindow {
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

impl TryFrom<FixedWindow> for Limit {
    type Error = LimitError;

    fn try_from(rule: FixedWindow) -> Result<Self, LimitError> {
        window::limit(&KIND, rule.limit, rule.window)
    }
}
