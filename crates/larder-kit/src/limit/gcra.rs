//! GCRA, the token bucket without a bucket: one number says when the debt of past calls is paid.

use std::time::Duration;

use larder_store::Script;

use super::{
    Limit, LimitError,
    kind::{Args, Kind, PERMITS_MAX, SPAN_MAX},
};

pub(super) static KIND: Kind = Kind {
    name: "gcra",
    script: Script::new("limit_gcra", include_str!("gcra.lua")),
    wrong,
    capacity: |[_, burst]| burst,
    span: |[interval_us, burst]| Duration::from_micros(interval_us.saturating_mul(burst)),
};

/// A steady rate with a burst, as a token bucket: in every interval of length w at most burst + ⌊w / interval⌋ permits.
///
/// The interval between permits is period / rate, rounded up to a whole microsecond. Without
/// [`burst`](Self::burst) the burst is the rate: `per_second(100)` admits a hundred at once, and then one every 10 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gcra {
    rate: u64,
    period: Duration,
    burst: u64,
}

impl Gcra {
    /// `rate` permits per `period`.
    #[must_use]
    pub const fn per(rate: u64, period: Duration) -> Self {
        Self {
            rate,
            period,
            burst: rate,
        }
    }

    /// `rate` permits per second.
    #[must_use]
    pub const fn per_second(rate: u64) -> Self {
        Self::per(rate, Duration::from_secs(1))
    }

    /// `rate` permits per minute.
    #[must_use]
    pub const fn per_minute(rate: u64) -> Self {
        Self::per(rate, Duration::from_secs(60))
    }

    /// `rate` permits per hour.
    #[must_use]
    pub const fn per_hour(rate: u64) -> Self {
        Self::per(rate, Duration::from_secs(3_600))
    }

    /// `rate` permits per day of 24 hours.
    #[must_use]
    pub const fn per_day(rate: u64) -> Self {
        Self::per(rate, Duration::from_secs(86_400))
    }

    /// How many may come at once after a pause; at least 1. The rate unless said.
    #[must_use]
    pub const fn burst(mut self, burst: u64) -> Self {
        self.burst = burst;
        self
    }
}

impl TryFrom<Gcra> for Limit {
    type Error = LimitError;

    fn try_from(rule: Gcra) -> Result<Self, LimitError> {
        let refuse = |what: String| Err(LimitError::config(format!("gcra: {what}")));
        let us = u64::try_from(rule.period.as_micros()).unwrap_or(u64::MAX);
        if rule.rate == 0 {
            return refuse("a rate of 0 admits nothing; leave the call out, or say at least 1".into());
        }
        if us == 0 {
            return refuse("a period of 0 limits nothing; say at least 1 µs".into());
        }
        if rule.rate > us {
            return refuse(format!(
                "{} per {:?} is more than one per microsecond, the unit in which the server counts",
                rule.rate, rule.period
            ));
        }
        Self::new(&KIND, [us.div_ceil(rule.rate), rule.burst])
    }
}

fn wrong([interval_us, burst]: Args) -> Option<String> {
    let span = interval_us.checked_mul(burst).map(Duration::from_micros);
    match span {
        _ if interval_us == 0 => Some("an interval of 0 limits nothing; say at least 1 µs".into()),
        _ if burst == 0 => Some("a burst of 0 admits nothing; say at least 1".into()),
        _ if burst > PERMITS_MAX => Some(format!("a burst of {burst} is more than {PERMITS_MAX}")),
        Some(span) if span <= SPAN_MAX => None,
        _ => Some(format!(
            "a burst of {burst} takes longer than a hundred years to come back, beyond which microseconds are not counted \
             exactly"
        )),
    }
}
